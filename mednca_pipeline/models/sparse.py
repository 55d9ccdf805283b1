"""The steps of a level on a CPU, computed in the cells that fire and nowhere else, forward and backward.

The neighbourhoods of these cells are gathered as the rows of a matrix, so that a step is two matrix products, and the
updates are added to their cells. Where cells are stored with their channels together, three neighbours along the last
axis lie in one piece of memory, so that gathering costs little beside the products.
"""

import math
from collections.abc import Iterator
from copy import copy
from functools import partial
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .dense import activate, activate_backward, prepared
from .gradient_checkpointing import CheckpointedSteps
from .nca import CHANNELS_LAST, FUNCTIONAL_CONVOLUTIONS, Cell

ROWS = 4096  # cells gathered at once in inference: a few MB, whatever the image's size


def run_sparse(cell: Cell, state: Tensor, fired: Tensor, steps: int, keep_every: int = 0) -> Tensor:
    """As nca.run_steps. state: (B, C, *spatial); fired: bool (steps, B, 1, *spatial).

    With gradients only for the cells that dense.fits. keep_every: see dense.run_dense.
    """
    n_free = state.shape[1] - cell.fixed
    state, matrix, bias, update = prepared(cell, state)
    image, free = state[:, : cell.fixed], state[:, cell.fixed :]
    base = from_image(cell, image, matrix[:, : cell.fixed], bias)
    weights = (base, matrix[:, cell.fixed :], update)
    if torch.is_grad_enabled():
        norm = (None, None) if isinstance(cell.norm, torch.nn.Identity) else (cell.norm.weight, cell.norm.bias)
        kernel_of = partial(_FiringCells, fired=fired, border=cell.border)
        free = CheckpointedSteps.apply(kernel_of, steps, keep_every, free, *weights, *norm)
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

    def __init__(self, state: Tensor, border: str) -> None:
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
        """firing: indices (M,) of cells, the border not counted -> their neighbourhoods (M, 3^dim * C).

        In `cells`, the present ones by default.
        """
        cells, firing = self.cells if cells is None else cells, self.index[firing]
        triples = cells.as_strided(
            (len(cells) - 2, 3 * self.channels), (self.channels, 1)
        )  # a cell and the two after it
        return torch.cat([triples.index_select(0, firing + first) for first in self.around[::3]], dim=1)

    def add_seen(self, firing: Tensor, seen: Tensor) -> None:
        """Adds the rows of `seen` (M, 3^dim * C) to the neighbourhoods that they belong to: `seen` backwards."""
        index = (self.index[firing][:, None] + torch.tensor(self.around)).view(-1, 1).expand(-1, self.channels)
        self.cells.scatter_add_(0, index, seen.view(-1, self.channels))

    def fill_border(self) -> None:
        """What the cells at the border see beyond it."""
        for border, source in self._borders():
            if source is not None:
                border.copy_(source)

    def fill_border_backward(self) -> None:
        """Moves what has come to the border to the cells that it was filled from."""
        for border, source in reversed(list(self._borders())):
            if source is not None:
                source.add_(border)
            border.zero_()

    def _borders(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Each side of the border, and the layer of cells that it repeats; None: it is zero."""
        source = {"replicate": 1, "reflect": 2, "zeros": None}[self.border]
        for axis in range(1, self.dim + 1):
            last = self.padded.shape[axis] - 1
            for end, repeated in ((0, source), (last, source and last - source)):
                yield self.padded.select(axis, end), repeated and self.padded.select(axis, repeated)


class _Rule:
    """The cell's rule as two matrices, for rows of neighbourhoods in the free channels, C of them.

    base: (cells, H), what the image adds to the hidden units.
    """

    def __init__(self, base: Tensor, matrix: Tensor, update: Tensor) -> None:
        self.base = base
        self.from_seen = matrix.movedim(1, -1).flatten(1).t().contiguous()  # (3^dim * C, H)
        self.to_update = update.t().contiguous()  # (H, C)

    def hidden(self, firing: Tensor, seen: Tensor) -> Tensor:
        return self.base.index_select(0, firing).addmm_(seen, self.from_seen)

    def update(self, active: Tensor) -> Tensor:
        return active @ self.to_update


class _Perceived(NamedTuple):
    """What a step computes and its backward pass needs."""

    cells: Tensor  # the grid's before the step, the border filled
    firing: Tensor  # indices of the cells that fire
    active: Tensor  # their hidden units after norm and ReLU
    of_norm: tuple[Tensor, ...]  # before the norm, and its statistics


class _FiringCells:
    """The steps of a level as a gradient_checkpointing.Kernel, of grids whose cells each step overwrites.

    base: (cells, H), see _Rule. matrix: (H, C, 3, ...) of the C free channels. update: (C, H). gain, shift: (H,).
    """

    def __init__(
        self,
        base: Tensor,
        matrix: Tensor,
        update: Tensor,
        gain: Tensor | None,
        shift: Tensor | None,
        fired: Tensor,
        border: str,
    ) -> None:
        self.rule, self.norm, self.matrix_shape = _Rule(base, matrix, update), (gain, shift), matrix.shape
        self.fired, self.border = fired, border

    def begin(self, state: Tensor) -> _Grid:
        return _Grid(state, self.border)

    def end(self, state: _Grid) -> Tensor:
        return state.state()

    def perceived(self, state: _Grid, step: int) -> _Perceived:
        state.fill_border()
        firing = self.fired[step].flatten().nonzero().squeeze(1)
        return _Perceived(state.cells, firing, *activate(self.rule.hidden(firing, state.seen(firing)), *self.norm))

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
        weights = [rule.from_seen, rule.to_update, *kernel.norm]
        self.sums = [weight if weight is None else torch.zeros_like(weight) for weight in weights]
        self.base = torch.zeros_like(rule.base)

    def step_back(self, perceived: _Perceived, step: int) -> None:
        grid, rule, (cells, firing, active, of_norm) = self.grid, self.kernel.rule, perceived
        of_update = grid.cells.index_select(0, grid.index[firing])
        to_update = active.t() @ of_update
        of_active = of_update @ rule.to_update.t()
        of_hidden, *of_affine = activate_backward(of_active, active, of_norm, *self.kernel.norm)
        to_seen = grid.seen(firing, cells).t() @ of_hidden
        for total, part in zip(self.sums, (to_seen, to_update, *of_affine), strict=True):
            if total is not None:
                total += part
        self.base.index_add_(0, firing, of_hidden)
        grid.add_seen(firing, of_hidden @ rule.from_seen.t())
        grid.fill_border_backward()

    def result(self) -> tuple[Tensor | None, ...]:
        """Of state, base, matrix, update, gain and shift."""
        from_seen, to_update, gain, shift = self.sums
        hidden, channels, *taps = self.kernel.matrix_shape
        matrix = from_seen.t().view(hidden, *taps, channels).movedim(-1, 1)
        return self.grid.state(), self.base, matrix, to_update.t(), gain, shift
