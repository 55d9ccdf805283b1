"""The steps of a level on a CPU for inference, computed in the cells that fire and nowhere else.

The neighbourhoods of these cells are gathered as the rows of a matrix, so that a step is two matrix products, and the
updates are added to their cells. Where cells are stored with their channels together, three neighbours along the last
axis lie in one piece of memory, so that gathering costs little beside the products.
"""

import math
from itertools import product

import torch
from torch import Tensor

from .dense import folded
from .nca import CHANNELS_LAST, Cell

ROWS = 4096  # cells gathered at once: a few MB, whatever the image's size
GATHERING = 1.25  # of the time of a dense step in which as many products are computed (python -m benchmarks.step)


def pays(cell: Cell, fired: Tensor | None) -> bool:
    """Whether the cells that do not fire save more than gathering the others costs.

    A dense step computes the free channels of all cells; a sparse step all channels of those that fire.
    """
    if fired is None:
        return False
    share = fired.count_nonzero().item() / fired.numel()
    channels = cell.hidden.in_channels if cell.banks is None else cell.banks[0].in_channels
    return share * channels * GATHERING < channels - cell.fixed


@torch.no_grad()
def run_sparse(cell: Cell, state: Tensor, fired: Tensor, steps: int) -> Tensor:
    """As nca.run_steps, without gradients. state: (B, C, *spatial); fired: bool (steps, B, 1, *spatial)."""
    spatial, channels = state.shape[2:], state.shape[1]
    padded = state.new_zeros(state.shape[0], *(side + 2 for side in spatial), channels)
    inside = (slice(None), *(slice(1, -1) for _ in spatial))
    padded[inside] = state.movedim(1, -1)
    cells = torch.arange(padded[..., 0].numel()).view(padded.shape[:-1])[inside]
    rule = _Rule(cell, padded.shape[1:-1])
    flat = padded.view(-1, channels)
    for step in range(steps):
        _fill_border(padded, cell.border)
        firing = cells[fired[step, :, 0]]
        updates = torch.cat([rule.updates(flat, some) for some in firing.split(ROWS)])
        flat.index_add_(0, firing, updates)
    return padded[inside].movedim(-1, 1).contiguous(memory_format=CHANNELS_LAST[cell.dim])


class _Rule:
    """The cell's rule as two matrices, for rows of neighbourhoods gathered from a padded grid."""

    def __init__(self, cell: Cell, grid: tuple[int, ...]) -> None:
        matrix, self.bias = folded(cell)
        self.from_seen = matrix.movedim(1, -1).flatten(1).t().contiguous()  # (3^dim * C, H)
        self.to_update = cell.full_update_weight().t().contiguous()  # (H, C)
        self.norm = cell.norm
        strides = [math.prod(grid[axis + 1 :]) for axis in range(len(grid) - 1)]
        rows_around = product((-1, 0, 1), repeat=len(strides))
        self.offsets = [sum(map(math.prod, zip(row, strides, strict=True))) - 1 for row in rows_around]

    def updates(self, flat: Tensor, firing: Tensor) -> Tensor:
        """flat: all padded cells (N, C); firing: indices of M of them -> (M, C), zero in the image channels."""
        n_cells, channels = flat.shape
        triples = flat.as_strided((n_cells - 2, 3 * channels), (channels, 1))  # each cell and the two after it
        seen = torch.cat([triples.index_select(0, firing + offset) for offset in self.offsets], dim=1)
        hidden = seen @ self.from_seen if self.bias is None else torch.addmm(self.bias, seen, self.from_seen)
        return self.norm(hidden).relu_() @ self.to_update


def _fill_border(padded: Tensor, border: str) -> None:
    """padded: (B, *spatial + 2, C): what the cells at the border see beyond it."""
    if border == "zeros":
        return
    source = 1 if border == "replicate" else 2
    for axis in range(1, padded.ndim - 1):
        last = padded.shape[axis] - 1
        padded.select(axis, 0).copy_(padded.select(axis, source))
        padded.select(axis, last).copy_(padded.select(axis, last - source))
