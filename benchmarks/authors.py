"""Med-NCA as its authors run it, written afresh from the equations: what the benchmarks measure ours against.

Source: Kalkhof, González, Mukhopadhyay, Med-NCA, IPMI 2023, section 2.1. Kept is how the published step spends its
time: the state is channels last and its axes are swapped and swapped back around the convolutions, the linear layers
work on the last axis, a mask is drawn on the CPU in every step, and the image is put back after it.
A test compares it with the golden vectors of the authors' own code and with ours.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednca_pipeline.models.mednca import LevelOutput, MedNCA
from mednca_pipeline.models.nca import Cell
from mednca_pipeline.models.windows import Window, crop_boxes
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan

IMAGE_SIZE = (64, 64)  # of the published hippocampus network


def published(steps: int = 16, patch: tuple[int, int] | None = (16, 16)) -> NCAPlan:
    """The published network, 70,016 parameters: 32 channels, 128 hidden units, levels /4 and /1."""
    return NCAPlan(
        channels=32,
        hidden=128,
        fire_rate=0.5,
        norm="none",
        border="reflect",
        perception="paper",
        levels=(LevelPlan((4, 4), steps), LevelPlan((1, 1), steps, patch)),
        training=TrainingPlan("adam", 1.6e-3, 48, 0.0, {"cpu": 30.0}, betas=(0.5, 0.5)),
    )


class AuthorsCell(nn.Module):
    """One level. fire_threshold: a cell fires where its random number is above."""

    def __init__(self, channels: int, hidden: int, n_image: int, fire_threshold: float) -> None:
        super().__init__()
        self.n_image, self.fire_threshold = n_image, fire_threshold
        self.p0, self.p1 = (nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2))
        self.fc0 = nn.Linear(3 * channels, hidden)
        self.fc1 = nn.Linear(hidden, channels, bias=False)

    def forward(self, state: Tensor, steps: int, fired: Tensor | None = None) -> Tensor:
        """state: (B, H, W, C). fired: bool (steps, B, H, W), or None to draw the masks."""
        image = state[..., : self.n_image]
        for step in range(steps):
            update = self.fc1(F.relu(self.fc0(self.perceive(state))))
            mask = self.draw(state) if fired is None else fired[step, ..., None]
            after = state + update * mask.to(state.device, state.dtype)
            state = torch.cat([image, after[..., self.n_image :]], dim=-1)
        return state

    def perceive(self, state: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, 3C): the state and two filter banks over it."""
        swapped = state.transpose(1, 3)  # (B, C, W, H)
        return torch.cat([swapped, self.p0(swapped), self.p1(swapped)], dim=1).transpose(1, 3)

    def draw(self, state: Tensor) -> Tensor:
        """(B, H, W, 1), drawn on the CPU whatever the device."""
        return torch.rand(*state.shape[:3], 1) > self.fire_threshold


class AuthorsMedNCA(nn.Module):
    """Two levels or more; in training the last sees a patch of each sample. Called as MedNCA is, for the same loss."""

    sigmoid = True

    def __init__(self, plan: NCAPlan, n_image: int, n_outputs: int) -> None:
        super().__init__()
        self.plan, self.n_image, self.n_outputs = plan, n_image, n_outputs
        threshold = 1 - plan.fire_rate
        self.stages = nn.ModuleList(AuthorsCell(plan.channels, plan.hidden, n_image, threshold) for _ in plan.levels)

    def predict_logits(self, image: Tensor, fired: Sequence[Tensor] | None = None) -> Tensor:
        """image: (B, n_image, H, W) -> logits (B, n_outputs, H, W). fired: masks of each level, None: drawn."""
        *_, (state, _) = self._states(image, None, fired)
        return self._logits(state)

    def forward(
        self, image: Tensor, origin: Tensor, generator: torch.Generator | None = None
    ) -> tuple[list[LevelOutput], Tensor]:
        """As MedNCA.forward, but that the masks come from torch's own generator and no magnitude is measured."""
        levels, last = zip(self._states(image, origin, None), self.plan.levels, strict=True), len(self.stages) - 1
        shares = [self.plan.training.coarser_share ** (last - index) for index in range(last + 1)]
        outputs = [
            LevelOutput(self._logits(state), window, level.factor, share)
            for ((state, window), level), share in zip(levels, shares, strict=True)
        ]
        return outputs, image.new_zeros(())

    def _states(
        self, image: Tensor, origin: Tensor | None, fired: Sequence[Tensor] | None
    ) -> Iterator[tuple[Tensor, Window]]:
        """The state (B, H, W, C) at the end of each level, and the window of the level that it is of."""
        state, last = None, len(self.stages) - 1
        for index, (stage, level) in enumerate(zip(self.stages, self.plan.levels, strict=True)):
            seen = F.avg_pool2d(image, level.factor).movedim(1, -1)
            if state is None:
                hidden = seen.new_zeros(*seen.shape[:3], self.plan.channels - self.n_image)
            else:
                ratio = self.plan.levels[index - 1].factor[0] / level.factor[0]
                grown = F.interpolate(state.transpose(1, 3), scale_factor=ratio, mode="nearest").transpose(1, 3)
                hidden = grown[..., self.n_image :]
            state, window = torch.cat([seen, hidden], dim=-1), Window(None, tuple(seen.shape[1:3]))
            if origin is not None and index == last and level.patch is not None:
                window = Window(origin, level.patch)
                state = crop_boxes(state.movedim(-1, 1), origin, level.patch).movedim(1, -1).contiguous()
            state = stage(state, level.steps, None if fired is None else fired[index])
            yield state, window

    def _logits(self, state: Tensor) -> Tensor:
        return state[..., self.n_image : self.n_image + self.n_outputs].movedim(-1, 1)


def with_weights_of(model: MedNCA) -> AuthorsMedNCA:
    """The same network as `model`, which has the perception "paper". One output is a sigmoid's, several a softmax's."""
    authors = AuthorsMedNCA(model.plan, model.n_image, model.n_outputs)
    authors.sigmoid = model.sigmoid
    for stage, cell in zip(authors.stages, model.cells, strict=True):
        copy_weights(cell, stage)
    return authors


@torch.no_grad()
def copy_weights(cell: Cell, stage: AuthorsCell) -> None:
    """Their filters see the axes swapped, so they are stored transposed."""
    stage.to(cell.update.weight)
    for filters, bank in zip((stage.p0, stage.p1), cell.banks, strict=True):
        filters.weight.copy_(bank.weight.transpose(2, 3))
        filters.bias.copy_(bank.bias)
    stage.fc0.weight.copy_(cell.hidden.weight.flatten(1))
    stage.fc0.bias.copy_(cell.hidden.bias)
    stage.fc1.weight.copy_(cell.update.weight)
