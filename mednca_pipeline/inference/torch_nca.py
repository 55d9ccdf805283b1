"""A Med-NCA's fold in torch: computing every cell, on a GPU, or with random runs in tiles."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..models.fire_masks import SpecifiedMasks
from ..models.mednca import MedNCA
from ..models.prediction import level_states
from ..models.tiles import tiled_logits
from ..plans.model_plans import NCAPlan
from ..plans.plans import Plans
from ..runtime.network_input import Part
from ..runtime.quality import Deviation
from .network import Asked, quality_levels
from .torch_network import TorchNetwork

# Larger images are taken in tiles of so many cells. The halos of planned levels then add a tenth to the work in 2D and
# less than half in 3D, with about 1.3 GB; in tiles of 2^18 cells they would add 60 % there.
TILE_CELLS = {2: 2**18, 3: 2**20}


class TorchNCA(TorchNetwork):
    """outline: which cells are computed; None: all."""

    plan: NCAPlan

    def __init__(
        self, module: nn.Module, plans: Plans, config: str, plan: NCAPlan, device: str, everywhere: bool
    ) -> None:
        super().__init__(module, plans, config, plan, device, everywhere)
        self.nca = cast(MedNCA, module)
        self.random = plan.fire_rate < 1
        self.outline = None if everywhere else plan.outline

    def _logits(self, seen: Part, asked: Asked, deviation: Deviation) -> Iterator[Tensor]:
        batch = self._batch(seen)
        compared = self.random and asked.quality
        runs = [self.masks(asked.seed, run, seen) for run in range(asked.runs or int(compared))]
        levels = quality_levels(self.plan)
        passes: list[SpecifiedMasks | None] = [None, *runs] if compared or self.outline or not runs else [*runs]
        tile = TILE_CELLS[self.format.dim]
        if self.outline is None and math.prod(batch.shape[2:]) > tile:
            if compared and levels < len(self.plan.levels):  # the levels that are compared are small: they run whole
                *_, states = islice(level_states(self.nca, batch, None, passes), levels)
                self._compare([self.nca.logits(state) for state in states], deviation)
                compared, passes = False, passes[1:] if asked.runs else [None]
            outcomes = [tiled_logits(self.nca, batch, tile, fires) for fires in passes]
            if compared:
                self._compare(outcomes, deviation)
        else:
            for number, states in enumerate(level_states(self.nca, batch, self.outline, passes), start=1):
                outcomes = [self.nca.logits(state) for state in states]
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

    def masks(self, seed: int, run: int, seen: Part) -> SpecifiedMasks:
        """Of a random run, for a part of the image."""
        slices = None if self.format.dim == 3 else (seen.first, seen.array.shape[1], seen.total)
        return SpecifiedMasks(seed, run, self.plan.fire_rate, slices, self.torch_device)


def _sums(values: Tensor) -> np.ndarray:
    """(B, K, *spatial) -> float64 (K): sums over all cells."""
    return values.double().sum((0, *range(2, values.ndim))).cpu().numpy()
