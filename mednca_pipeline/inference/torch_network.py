"""A fold in torch: UNets, and automata that compute every cell or run on a GPU."""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..device import choose_device
from ..models.prediction import level_states
from ..models.registry import build_model
from ..models.tiles import Box, tiled_logits
from ..models.weights import load_weights
from ..plans.plans import NCAPlan, Plans, UNetPlan
from ..runtime.fire_masks import fire_masks
from ..runtime.network_input import Part, parts
from ..runtime.quality import Deviation
from .network import Asked, input_format, quality_levels

# An automaton takes larger images in tiles of so many cells. The halos of planned levels then add a tenth to the work
# in 2D and less than half in 3D, with about 1.3 GB; in tiles of 2^18 cells they would add 60 % there.
TILE_CELLS = {2: 2**18, 3: 2**20}
TILE_OVERLAP = 0.5  # of a UNet's patch, where the image is larger


def load_module(weights: Path, plans: Plans, model: str, config: str) -> nn.Module:
    """The trained network. Raises InputError when the weights do not fit the plans."""
    module = build_model(model, plans, config)
    load_weights(weights, module)
    return module


class TorchNetwork:
    """Convolutions are in full float32 on every device: scores are compared with thresholds learned on another.

    outline: which cells an automaton computes; None: all.
    """

    def __init__(
        self, module: nn.Module, plans: Plans, config: str, plan: NCAPlan | UNetPlan, device: str, everywhere: bool
    ) -> None:
        self.torch_device = choose_device(device)
        self.module = module.to(self.torch_device).eval()
        self.plan, self.format = plan, input_format(plans.config(config), plan, module.factor)
        self.sigmoid = plans.labels.has_regions
        self.random = isinstance(plan, NCAPlan) and plan.fire_rate < 1
        self.outline = None if everywhere or isinstance(plan, UNetPlan) else plan.outline

    @property
    def device(self) -> str:
        return str(self.torch_device)

    def see(self, image: np.ndarray) -> Iterator[Part]:
        return parts(image, self.format)

    def probabilities(self, seen: Part, asked: Asked, deviation: Deviation) -> Iterator[np.ndarray]:
        on_gpu = self.torch_device.type == "cuda"
        full = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if on_gpu else nullcontext()
        with torch.inference_mode(), full:
            for logits in self._logits(seen, asked, deviation):  # (B, K, *spatial)
                probabilities = self._activate(logits)
                probabilities = probabilities[0] if self.format.dim == 3 else probabilities.movedim(0, 1)
                yield probabilities[seen.inside].float().cpu().numpy()

    def _logits(self, seen: Part, asked: Asked, deviation: Deviation) -> Iterator[Tensor]:
        batch = self._to_device(seen.array[None] if self.format.dim == 3 else seen.array.swapaxes(0, 1))
        if isinstance(self.plan, UNetPlan):
            yield self._unet_logits(batch, self.plan.patch)
            return
        compared = self.random and asked.quality
        runs = [partial(self._fires, asked.seed, run, seen) for run in range(asked.runs or int(compared))]
        levels = quality_levels(self.plan)
        passes = [None, *runs] if compared or self.outline or not runs else runs
        tile = TILE_CELLS[self.format.dim]
        if self.outline is None and math.prod(batch.shape[2:]) > tile:
            if compared and levels < len(self.plan.levels):  # the levels that are compared are small: they run whole
                *_, states = islice(level_states(self.module, batch, None, passes), levels)
                self._compare([self.module.logits(state) for state in states], deviation)
                compared, passes = False, runs if asked.runs else [None]
            outcomes = [tiled_logits(self.module, batch, tile, fires) for fires in passes]
            if compared:
                self._compare(outcomes, deviation)
        else:
            for number, states in enumerate(level_states(self.module, batch, self.outline, passes), start=1):
                outcomes = [self.module.logits(state) for state in states]
                if compared and number == levels:
                    self._compare(outcomes, deviation)
        yield from outcomes[-asked.runs :] if asked.runs else outcomes[:1]

    def _compare(self, outcomes: Sequence[Tensor], deviation: Deviation) -> None:
        expected, *drawn = (self._with_foreground(self._activate(logits)) for logits in outcomes)
        for run in drawn:
            deviation.add(*(_sums(part) for part in ((run - expected).abs(), expected)))

    def _with_foreground(self, probabilities: Tensor) -> Tensor:
        foreground = probabilities.amax(dim=1) if self.sigmoid else 1 - probabilities[:, 0]
        return torch.cat([probabilities, foreground[:, None]], dim=1)

    def _fires(
        self, seed: int, run: int, seen: Part, level: int, steps: int, grid: tuple[int, ...], box: Box | None = None
    ) -> Tensor:
        """bool (steps, B, 1, *grid or box). In 2D the slices are the first axis of the masks' whole grid."""
        rate, window = self.plan.fire_rate, box or tuple(slice(None) for _ in grid)
        if self.format.dim == 3:
            return self._to_device(fire_masks(seed, run, level, steps, tuple(grid), rate, window))[:, None, None]
        window = (slice(seen.first, seen.first + seen.array.shape[1]), *window)
        return self._to_device(fire_masks(seed, run, level, steps, (seen.total, *grid), rate, window))[:, :, None]

    def _unet_logits(self, batch: Tensor, patch: tuple[int, ...]) -> Tensor:
        if all(side <= seen for side, seen in zip(batch.shape[2:], patch, strict=True)):
            return self.module.predict_logits(batch)
        from monai.inferers import sliding_window_inference  # slow to import, and automata never need it

        return sliding_window_inference(
            batch, patch, 1, self.module.predict_logits, overlap=TILE_OVERLAP, mode="gaussian"
        )

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)

    def _activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.sigmoid else logits.softmax(dim=1)


def _sums(values: Tensor) -> np.ndarray:
    """(B, K, *spatial) -> float64 (K): sums over all cells."""
    return values.double().sum((0, *range(2, values.ndim))).cpu().numpy()
