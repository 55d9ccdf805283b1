"""The steps of a level on a CPU, forward and backward, computed only in the cells that fire.

The neighbourhoods of these cells are gathered as the rows of a matrix, so that a step is two matrix products, and the
updates are added to their cells. Cells are stored with their channels together. Three neighbours along the last axis
then lie in one piece of memory, and gathering costs little beside the products.
"""

import math
from collections.abc import Iterator
from copy import copy
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.grid import Border
from .dense import Affine, activate, activate_backward, add_affine, affine, norm_of, prepared
from .gradient_checkpointing import CheckpointedSteps
from .nca import CHANNELS_LAST, FUNCTIONAL_CONVOLUTIONS, Cell

ROWS = 4096  # cells gathered at once in inference: a few MB, whatever the image's size


def run_sparse(cell: Cell, state: Tensor, fired: Tensor, steps: int, keep_every: int = 0, share: float = 1.0) -> Tensor:
    """As nca.run_steps. state: (B, C, *spatial); fired: bool (steps, B, 1, *spatial).

    Gradients are computed only for cells that dense.fits. keep_every: see dense.run_dense.
    """
    n_free = state.shape[1] - cell.fixed
    state, matrix, bias, update = prepared(cell, state, share)
    image, free = state[:, : cell.fixed], state[:, cell.fixed :]
    base = from_image(cell, image, matrix[:, : cell.fixed], bias)
    weights = (base, matrix[:, cell.fixed :], update)
    if torch.is_grad_enabled():

        def kernel_of(
            base: Tensor, matrix: Tensor, update: Tensor, gain: Tensor | None, shift: Tensor | None
        ) -> _FiringCells:
            return _FiringCells(_Rule(base, matrix, update, affine(gain, shift)), fired, cell.border)

        free = CheckpointedSteps.apply(kernel_of, steps, keep_every, free, *weights, *norm_of(cell))
    else:
        grid, rule = _Grid(free, cell.border), _Rule(*weights)
        for step in range(steps):
            grid.fill_border()
            firing = fired[step].flatten().nonzero().squeeze(1)
            updates = [
                rule.update(cell.norm(rule.hidden(some, grid.seen(some))).relu_()) for some in firing.split(ROWS)
            ]
            grid.add(firing, torch.cat(updates))
        free = grid.state()
    return torch.cat([image, free[:, :n_free]], dim=1)


def from_image(cell: Cell, image: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """The fixed channels' part of the hidden units, the same in all steps: (cells, H)."""
    seen, padding = image, 1
    if cell.border != "zeros":
        seen, padding = F.pad(image, (1, 1) * cell.dim, mode=cell.border), 0
    hidden = FUNCTIONAL_CONVOLUTIONS[cell.dim](seen, matrix, bias, padding=padding)
    return hidden.movedim(1, -1).flatten(0, -2)


class _Grid:
    """A state with a border of one cell, channels last: `padded` (B, *spatial + 2, C) and its `cells` (N, C)."""

    def __init__(self, state: Tensor, border: Border) -> None:
        self.dim, self.channels, self.border = state.ndim - 2, state.shape[1], border
        self.padded = state.new_zeros(state.shape[0], *(side + 2 for side in state.shape[2:]), self.channels)
        self.inside = (slice(None), *(slice(1, -1) for _ in range(self.dim)))
        self.padded[self.inside] = state.movedim(1, -1)
        self.cells = self.padded.view(-1, self.channels)
        self.index = torch.arange(len(self.cells)).view(self.padded.shape[:-1])[self.inside].flatten()
        sides = self.padded.shape[1:-1]
        strides = [math.prod(sides[axis + 1 :]) for axis in range(self.dim)]
        self.around = [
            sum(map(math.prod, zip(at, strides, strict=True))) for at in product((-1, 0, 1), repeat=self.dim)
        ]

    def at(self, cells: Tensor) -> "_Grid":
        """The same grid with other `cells`."""
        grid = copy(self)
        grid.cells, grid.padded = cells, cells.view(self.padded.shape)
        return grid

    def state(self) -> Tensor:
        """(B, C, *spatial), a copy."""
        return self.padded[self.inside].movedim(-1, 1).clone(memory_format=CHANNELS_LAST[self.dim])

    def add(self, firing: Tensor, updates: Tensor) -> None:
        self.cells.index_add_(0, self.index[firing], updates)

    def seen(self, firing: Tensor, cells: Tensor | None = None) -> Tensor:
        """The neighbourhoods (M, 3^dim * C) of some cells.

        firing: indices (M,) of the cells, not counting the border. cells: where to look; the present cells by default.
        """
        cells, firing = self.cells if cells is None else cells, self.index[firing]
        triples = cells.as_strided((len(cells) - 2, 3 * self.channels), (self.channels, 1))  # a cell and the next two
        return torch.cat([triples.index_select(0, firing + first) for first in self.around[::3]], dim=1)

    def add_seen(self, firing: Tensor, seen: Tensor) -> None:
        """Adds each row (M, 3^dim * C) to the neighbourhood that it belongs to: the inverse way of `seen`."""
        index = (self.index[firing][:, None] + torch.tensor(self.around)).view(-1, 1).expand(-1, self.channels)
        self.cells.scatter_add_(0, index, seen.view(-1, self.channels))

    def fill_border(self) -> None:
        """Writes into the border what the cells beside it see."""
        for border, source in self._borders():
            if source is not None:
                border.copy_(source)

    def fill_border_backward(self) -> None:
        """Moves the gradients in the border to the cells that the border was filled from."""
        for border, source in reversed(list(self._borders())):
            if source is not None:
                source.add_(border)
            border.zero_()

    def _borders(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Each side of the border, and the layer of cells that it repeats; None where the border is zero."""
        distances: dict[Border, int] = {"replicate": 1, "reflect": 2}
        distance = distances.get(self.border)
        for axis in range(1, self.dim + 1):
            last = self.padded.shape[axis] - 1
            for end, inwards in ((0, 1), (last, -1)):
                source = None if distance is None else self.padded.select(axis, end + inwards * distance)
                yield self.padded.select(axis, end), source


class _Rule:
    """The cell's rule as two matrices for rows of neighbourhoods in the C free channels.

    base: (cells, H), what the image adds to the hidden units. matrix: (H, C, 3, ...). update: (C, H).
    """

    def __init__(self, base: Tensor, matrix: Tensor, update: Tensor, norm: Affine | None = None) -> None:
        self.base, self.norm, self.matrix_shape = base, norm, matrix.shape
        self.from_seen = matrix.movedim(1, -1).flatten(1).t().contiguous()  # (3^dim * C, H)
        self.to_update = update.t().contiguous()  # (H, C)

    def hidden(self, firing: Tensor, seen: Tensor) -> Tensor:
        return self.base.index_select(0, firing).addmm_(seen, self.from_seen)

    def update(self, active: Tensor) -> Tensor:
        return active @ self.to_update


class _Perceived(NamedTuple):
    """What a step computes, as its backward pass needs it."""

    cells: Tensor  # the grid's cells before the step, with its border filled
    firing: Tensor  # indices of the cells that fire
    active: Tensor  # hidden units of the firing cells after norm and ReLU
    of_norm: tuple[Tensor, ...]  # hidden units before the norm, and the norm's statistics


class _FiringCells:
    """The steps of a level as a gradient_checkpointing.Kernel. Its states are grids that each step overwrites."""

    def __init__(self, rule: _Rule, fired: Tensor, border: Border) -> None:
        self.rule, self.fired, self.border = rule, fired, border

    def begin(self, state: Tensor) -> _Grid:
        return _Grid(state, self.border)

    def end(self, state: _Grid) -> Tensor:
        return state.state()

    def perceived(self, state: _Grid, step: int) -> _Perceived:
        state.fill_border()
        firing = self.fired[step].flatten().nonzero().squeeze(1)
        hidden = self.rule.hidden(firing, state.seen(firing))
        return _Perceived(state.cells, firing, *activate(hidden, self.rule.norm))

    def updated(self, state: _Grid, perceived: _Perceived, step: int) -> _Grid:
        state.add(perceived.firing, self.rule.update(perceived.active))
        return state

    def kept(self, perceived: _Perceived) -> _Perceived:
        return perceived._replace(cells=perceived.cells.clone())

    def copied(self, state: _Grid) -> _Grid:
        return state.at(state.cells.clone())

    def gradients(self, grad: Tensor) -> "_Gradients":
        return _Gradients(self, grad)


class _Gradients:
    """The gradient of the state after a step, as a grid, and those of the level's weights."""

    def __init__(self, kernel: _FiringCells, grad: Tensor) -> None:
        self.kernel, self.grid, rule = kernel, _Grid(grad, kernel.border), kernel.rule
        self.base = torch.zeros_like(rule.base)
        self.from_seen, self.to_update = torch.zeros_like(rule.from_seen), torch.zeros_like(rule.to_update)
        self.norm = rule.norm and Affine(*map(torch.zeros_like, rule.norm))

    def step_back(self, perceived: _Perceived, step: int) -> None:
        grid, rule, (cells, firing, active, of_norm) = self.grid, self.kernel.rule, perceived
        of_update = grid.cells.index_select(0, grid.index[firing])
        self.to_update += active.t() @ of_update
        of_active = of_update @ rule.to_update.t()
        of_hidden, to_norm = activate_backward(of_active, active, of_norm, rule.norm)
        self.from_seen += grid.seen(firing, cells).t() @ of_hidden
        add_affine(self.norm, to_norm)
        self.base.index_add_(0, firing, of_hidden)
        grid.add_seen(firing, of_hidden @ rule.from_seen.t())
        grid.fill_border_backward()

    def result(self) -> tuple[Tensor | None, ...]:
        """The gradients of state, base, matrix, update, gain and shift."""
        hidden, channels, *taps = self.kernel.rule.matrix_shape
        matrix = self.from_seen.t().view(hidden, *taps, channels).movedim(-1, 1)
        return self.grid.state(), self.base, matrix, self.to_update.t(), *(self.norm or (None, None))
