"""Boxes cut from a grid, each sample of the batch at its own place."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..plans.model_plans import LevelPlan


def crop_boxes(grid: Tensor, start: Tensor, size: Sequence[int]) -> Tensor:
    """grid (B, C, *spatial), start (B, dim) int -> (B, C, *size). Returns `grid` itself where nothing is cut off."""
    if tuple(grid.shape[2:]) == tuple(size):
        return grid
    boxes = [
        (slice(None), *(slice(first, first + side) for first, side in zip(row, size, strict=True)))
        for row in start.tolist()
    ]
    return torch.stack([sample[box] for sample, box in zip(grid, boxes, strict=True)])


class Window:
    """A box of equal size in each sample: start (B, dim) in cells, or None for the whole grid of `size`."""

    def __init__(self, start: Tensor | None, size: tuple[int, ...]) -> None:
        self.start, self.size = start, size

    def start_of(self, axis: int) -> Tensor:
        return torch.zeros((), dtype=torch.long) if self.start is None else self.start[:, axis]

    def coarser(self, ratio: Sequence[int]) -> "Window":
        """The same box in cells `ratio` times as large. Its start and size must be multiples of `ratio`."""
        size = tuple(side // r for side, r in zip(self.size, ratio, strict=True))
        return Window(None if self.start is None else self.start // torch.as_tensor(ratio), size)

    def crop(self, grid: Tensor, relative_to: "Window | None" = None) -> Tensor:
        """Cuts the box from `grid` (B, C, *spatial), which is the whole grid or the window `relative_to`."""
        if self.start is None:
            return grid
        outer = relative_to.start if relative_to is not None else None
        return crop_boxes(grid, self.start if outer is None else self.start - outer, self.size)


def whole_window(image: Tensor, level: LevelPlan) -> Window:
    """The window of all cells that a level has for an image (B, n_image, *spatial)."""
    return Window(None, tuple(side // factor for side, factor in zip(image.shape[2:], level.factor, strict=True)))
