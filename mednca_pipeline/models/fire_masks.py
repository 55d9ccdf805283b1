"""Which cells fire, in torch: drawn by training's generator, or by the specified generator (runtime.fire_masks)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..runtime.fire_masks import RandomRun, fire_masks

Box = tuple[slice, ...]  # a part of one level's grid, in its own cells: one slice per axis


class FireMasks(Protocol):
    def __call__(self, level: int, steps: int, grid: Sequence[int], box: Box | None = None) -> Tensor | None:
        """bool (steps, B, 1, *grid): the cells of a level that fire in each step. None: all cells fire.

        box: only this part of the grid is returned.
        """


def draws_expected(share: float, generator: torch.Generator) -> bool:
    """Whether an iteration of training uses the expected update: `share` of all do. 0 and 1 draw no number."""
    if share in (0, 1):
        return share == 1
    return bool(torch.rand((), generator=generator, device=generator.device) < share)


@dataclass(frozen=True)
class DrawnMasks:
    """The masks of training for `batch` samples, drawn one after another from `generator`."""

    generator: torch.Generator
    fire_rate: float
    batch: int
    device: torch.device

    def __call__(self, level: int, steps: int, grid: Sequence[int], box: Box | None = None) -> Tensor | None:
        if box is not None:
            raise ValueError("masks that are drawn one after another are those of a whole grid")
        if self.fire_rate >= 1:
            return None
        shape = (steps, self.batch, 1, *grid)
        drawn = torch.rand(shape, generator=self.generator, device=self.generator.device)
        return drawn.lt_(self.fire_rate).bool().to(self.device)


@dataclass(frozen=True)
class SpecifiedMasks:
    """The masks of random run `run` with `seed`, the same on every backend and in every tiling.

    slices: (first, count, total) of the slices that a 2D network sees at once. The slices of a volume are the first
        axis of the masks' whole grid. None in 3D.
    """

    seed: int
    run: int
    fire_rate: float
    slices: tuple[int, int, int] | None
    device: torch.device

    def __call__(self, level: int, steps: int, grid: Sequence[int], box: Box | None = None) -> Tensor:
        window = box or tuple(slice(None) for _ in grid)
        if self.slices is None:
            return self._masks(level, steps, tuple(grid), window)[:, None, None]
        first, count, total = self.slices
        return self._masks(level, steps, (total, *grid), (slice(first, first + count), *window))[:, :, None]

    def _masks(self, level: int, steps: int, shape: tuple[int, ...], window: Box) -> Tensor:
        masks = fire_masks(RandomRun(self.seed, self.run, self.fire_rate), level, range(steps), shape, window)
        return torch.from_numpy(np.ascontiguousarray(masks)).to(self.device)
