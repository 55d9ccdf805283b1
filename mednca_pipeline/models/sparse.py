"""The steps of a level on a CPU, computed in the cells that fire and nowhere else, forward and backward.

The neighbourhoods of these cells are gathered as the rows of a matrix, so that a step is two matrix products, and the
updates are added to their cells. Where cells are stored with their channels together, three neighbours along the last
axis lie in one piece of memory, so that gathering costs little beside the products.
"""

import math
from collections.abc import Iterable, Iterator
from copy import copy
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .dense import activate, activate_backward, prepared, spend
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
        free = _Steps.apply(free, *weights, *norm, fired, steps, cell.border, keep_every)
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


def _perceived(grid: _Grid, rule: _Rule, norm: tuple[Tensor | None, ...], mask: Tensor) -> _Perceived:
    grid.fill_border()
    firing = mask.flatten().nonzero().squeeze(1)
    return _Perceived(grid.cells, firing, *activate(rule.hidden(firing, grid.seen(firing)), *norm))


def _again(
    grid: _Grid, rule: _Rule, norm: tuple[Tensor | None, ...], fired: Tensor, steps: Iterable[int]
) -> list[_Perceived]:
    """What was perceived in `steps`, from the state before the first, which is overwritten."""
    found: list[_Perceived] = []
    for step in steps:
        if found:
            grid.add(found[-1].firing, rule.update(found[-1].active))
        perceived = _perceived(grid, rule, norm, fired[step])
        found.append(perceived._replace(cells=grid.cells.clone()))
    return found


class _Steps(torch.autograd.Function):
    """Keeps what each step perceived, or the state before every so many steps and computes the rest again."""

    @staticmethod
    def forward(ctx, state, base, matrix, update, gain, shift, fired, steps, border, keep_every):
        grid, rule = _Grid(state, border), _Rule(base, matrix, update)
        ctx.rule, ctx.norm, ctx.border, ctx.matrix_shape = rule, (gain, shift), border, matrix.shape
        ctx.fired, ctx.steps, ctx.keep_every, ctx.states, ctx.perceived = fired, steps, keep_every, [], []
        for step in range(steps):
            perceived = _perceived(grid, rule, ctx.norm, fired[step])
            if not keep_every:
                ctx.perceived.append(perceived._replace(cells=grid.cells.clone()))
            elif step % keep_every == 0:
                ctx.states.append(grid.cells.clone())
            grid.add(perceived.firing, rule.update(perceived.active))
        return grid.state()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        spend(ctx)
        rule, (gain, shift) = ctx.rule, ctx.norm
        grid = _Grid(grad, ctx.border)
        weights = [rule.from_seen, rule.to_update, gain, shift]
        sums = [weight if weight is None else torch.zeros_like(weight) for weight in weights]
        base = torch.zeros_like(rule.base)
        for step in reversed(range(ctx.steps)):
            if not ctx.perceived:
                since = range(step // ctx.keep_every * ctx.keep_every, step + 1)
                ctx.perceived = _again(grid.at(ctx.states.pop()), rule, ctx.norm, ctx.fired, since)
            cells, firing, active, of_norm = ctx.perceived.pop()
            of_update = grid.cells.index_select(0, grid.index[firing])
            to_update = active.t() @ of_update
            of_hidden, *of_affine = activate_backward(of_update @ rule.to_update.t(), active, of_norm, gain, shift)
            to_seen = grid.seen(firing, cells).t() @ of_hidden
            for total, part in zip(sums, (to_seen, to_update, *of_affine), strict=True):
                if total is not None:
                    total += part
            base.index_add_(0, firing, of_hidden)
            grid.add_seen(firing, of_hidden @ rule.from_seen.t())
            grid.fill_border_backward()
        from_seen, to_update, gain, shift = sums
        hidden, channels, *taps = ctx.matrix_shape
        matrix = from_seen.t().view(hidden, *taps, channels).movedim(-1, 1)
        return grid.state(), base, matrix, to_update.t(), gain, shift, None, None, None, None
