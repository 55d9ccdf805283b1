"""Med-NCA: one NCA per level, from a downscaled image with global knowledge to the full resolution.

Source: Kalkhof, González, Mukhopadhyay, Med-NCA: Robust and Lightweight Segmentation with Neural Cellular Automata,
IPMI 2023, section 2.1; here with any number of levels, in 2D and 3D.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..plans.model_plans import NCAPlan
from .fire_masks import DrawnMasks, FireMasks, draws_expected
from .graphs import GraphedSteps
from .nca import CHANNELS_LAST, Cell, CellForm
from .near_outline import near_open
from .prediction import predict_logits
from .protocol import Output
from .steps import run_steps
from .windows import Window, whole_window

AVERAGE_POOLS = {2: F.avg_pool2d, 3: F.avg_pool3d}


class MedNCA(nn.Module):
    """State channels: image (held fixed), class logits, hidden. Levels run from the coarsest to the finest.

    In a training step each cell updates with probability `fire_rate`. prediction.py says what prediction does.
    """

    def __init__(self, plan: NCAPlan, dim: int, n_image_channels: int, n_outputs: int, sigmoid: bool) -> None:
        super().__init__()
        self.plan, self.dim, self.sigmoid = plan, dim, sigmoid
        self.n_image, self.n_outputs = n_image_channels, n_outputs
        self.factor = plan.levels[0].factor
        form = CellForm(plan.perception, plan.norm, plan.border)
        self.cells = nn.ModuleList(Cell(dim, plan.channels, plan.hidden, n_image_channels, form) for _ in plan.levels)
        self.graphed_steps = GraphedSteps()
        self.to(memory_format=CHANNELS_LAST[dim])  # type: ignore[call-overload]  # which torch's types leave out

    def forward(self, image: Tensor, origin: Tensor, generator: torch.Generator) -> tuple[list["LevelOutput"], Tensor]:
        """A training pass. Levels with a patch see only a window around the finest patch of each sample.

        image: (B, n_image, *spatial). origin: (B, dim) int, the first voxel of each sample's finest patch, a multiple
        of `factor`. Returns the output of each level, coarsest first, and the largest magnitude in the hidden state.
        The loss of a level counts `coarser_share` of the loss of the next finer level.
        """
        state = self.first_state(image, self._window(image, 0, origin).size)
        outputs: list[LevelOutput] = []
        magnitude = image.new_zeros(())
        masks: FireMasks | None = None
        if not draws_expected(self.plan.training.expected_share, generator):
            masks = DrawnMasks(generator, self.plan.fire_rate, len(image), image.device)
        share = self.plan.fire_rate if masks is None else 1.0
        for index, level in enumerate(self.plan.levels):
            window = self._window(image, index, origin)
            previous = outputs[-1].window if outputs else None
            near = self._near_outline(outputs[-1], index, window) if outputs else None
            state = self.enter_level(state, image, index, window, previous)
            fired = None if masks is None else masks(index, level.steps, state.shape[2:])
            if near is not None:
                fired = near.expand(level.steps, *near.shape) if fired is None else fired & near
            run = self.training_steps(image.device)
            state = run(self.cell(index), state, fired, level.steps, self.plan.keep_every, share)
            in_loss = self.plan.training.coarser_share ** (len(self.cells) - 1 - index)
            outputs.append(LevelOutput(self.logits(state), window, level.factor, in_loss))
            magnitude = torch.maximum(magnitude, state.detach()[:, self.n_image :].abs().amax())
        return outputs, magnitude

    def scored(self, image: Tensor, origin: Tensor) -> Output:
        """The logits of the whole samples, predicted as mednca_predict does it."""
        return Output(self.predict_logits(image), lambda known: known)

    def cell(self, index: int) -> Cell:
        """The cell of a level; 0 is the coarsest."""
        return cast(Cell, self.cells[index])

    def predict_logits(self, image: Tensor) -> Tensor:
        """(B, n_image, *spatial) -> logits (B, n_outputs, *spatial), as prediction.py defines them."""
        return predict_logits(self, image, self.plan.outline)

    def _near_outline(self, above: "LevelOutput", index: int, window: Window) -> Tensor | None:
        """bool (B, 1, *window): the cells of a level that prediction would compute. None: training computes all."""
        outline = self.plan.outline
        if outline is None or not self.plan.training.at_outline:
            return None
        near = near_open(above.logits.detach(), self.sigmoid, outline).float()
        ratio = self.ratio(index)
        near = window.coarser(ratio).crop(near, relative_to=above.window)
        return F.interpolate(near, scale_factor=tuple(map(float, ratio)), mode="nearest") > 0

    def training_steps(self, device: torch.device) -> Callable[..., Tensor]:
        """The function that runs a level's steps in training: `run_steps`, on a GPU as CUDA graphs."""
        return self.graphed_steps if device.type == "cuda" else run_steps

    def logits(self, state: Tensor) -> Tensor:
        return state[:, self.n_image : self.n_image + self.n_outputs]

    def ratio(self, index: int) -> tuple[int, ...]:
        """The number of cells of level `index` in a cell of the level above, per axis."""
        above, level = self.plan.levels[index - 1 : index + 1]
        return tuple(a // f for a, f in zip(above.factor, level.factor, strict=True))

    def first_state(self, image: Tensor, grid: tuple[int, ...]) -> Tensor:
        """Zeros (B, C, *grid): the coarsest level begins with nothing."""
        state = image.new_zeros(image.shape[0], self.plan.channels, *grid)
        return state.contiguous(memory_format=CHANNELS_LAST[self.dim])

    def enter_level(
        self, state: Tensor, image: Tensor, index: int, window: Window, previous: Window | None = None
    ) -> Tensor:
        """Upsamples the state of the level above to this one, inside `window`, and puts the image into it."""
        level = self.plan.levels[index]
        if index > 0:
            ratio = self.ratio(index)
            coarse = window.coarser(ratio)
            state = coarse.crop(state, relative_to=previous)
            state = F.interpolate(state, scale_factor=tuple(map(float, ratio)), mode="nearest")
        seen = window.crop(_pooled(image, level.factor))
        state = torch.cat([seen, state[:, self.n_image :]], dim=1)
        return state.contiguous(memory_format=CHANNELS_LAST[self.dim])

    def _window(self, image: Tensor, index: int, origin: Tensor) -> Window:
        """The window of a level in its own cells: centred on the finest patch, inside the window of the level above."""
        levels = self.plan.levels
        whole = whole_window(image, levels[index])
        patch = levels[index].patch
        if patch is None:
            return whole
        finest = levels[-1].patch
        above = self._window(image, index - 1, origin) if index else whole
        above_factor = levels[index - 1].factor if index else levels[index].factor
        starts, size = [], []
        for axis, factor in enumerate(levels[index].factor):
            ratio = above_factor[axis] // factor
            low = above.start_of(axis) * ratio
            high = low + above.size[axis] * ratio
            length = min(patch[axis], above.size[axis] * ratio)
            finest_length = image.shape[2 + axis] if finest is None else finest[axis] * levels[-1].factor[axis]
            centre = (origin[:, axis] + finest_length // 2) // factor
            start = (centre - length // 2) // ratio * ratio
            starts.append(torch.minimum(torch.maximum(start, torch.as_tensor(low)), torch.as_tensor(high - length)))
            size.append(length)
        return Window(torch.stack(starts, dim=1), tuple(size))


class LevelOutput:
    """What a level says: an Output (protocol.py) with the level's window and downscale factor."""

    def __init__(self, logits: Tensor, window: Window, factor: tuple[int, ...], share: float) -> None:
        self.logits, self.window, self.factor, self.share = logits, window, factor, share

    def targets(self, encoded: Tensor) -> Tensor:
        """Full-resolution targets or weights (B, K, *spatial), averaged over each of this level's cells."""
        return self.window.crop(_pooled(encoded, self.factor))


def _pooled(voxels: Tensor, factor: tuple[int, ...]) -> Tensor:
    """(B, K, *spatial) averaged over cells of `factor` voxels; unchanged where a cell is a voxel."""
    return voxels if set(factor) == {1} else AVERAGE_POOLS[voxels.ndim - 2](voxels, factor)
