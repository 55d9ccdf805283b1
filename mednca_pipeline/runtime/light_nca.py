"""A Med-NCA in NumPy that computes the cells at the outline and no others.

The neighbourhoods of these cells are gathered as the rows of a matrix, so that a step is two matrix products. Cells are
stored with their channels together, and three neighbours along the last axis lie in one piece of memory. A cell that a
level does not compute has no state of its own there: it points to the state that it was given.

The plain form, which defines what is computed, is mednca_pipeline/models/prediction.py.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from .grid import Border, SeenImage, averaged, triples
from .outline import Outline, near_open, refined, sure_and_class

ROWS = 1024  # cells at once: their neighbourhoods and hidden units stay in the processor's cache
TAKEN = 2**16  # cells at once: NumPy makes a copy of their pointers, in twice the bytes
BASE_BYTES = 2**25  # up to this size the image's part of the hidden units is kept; else each step computes it anew
NORM_EPS = {"layer": 1e-5, "rms": 1e-6}

NormKind = Literal["layer", "rms", "none"]

# fires(level, steps, cells) -> bool (steps, M): which of these cells, row-major indices in its grid, fire in each step
Fires = Callable[[int, int, np.ndarray], np.ndarray]


class Norm(NamedTuple):
    """A norm over the hidden units of each cell. gain, shift: (H,)."""

    kind: Literal["layer", "rms"]
    gain: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Rule:
    """The rule of one level's cells, folded into matrices. float32; H hidden units, F free channels.

    from_image: (3^dim * image channels, H). from_state: (3^dim * F, H). bias: (H,). update: (H, F).
    """

    from_image: np.ndarray
    from_state: np.ndarray
    bias: np.ndarray
    update: np.ndarray
    norm: Norm | None

    @classmethod
    def folded(
        cls,
        matrix: np.ndarray,
        bias: np.ndarray | None,
        update: np.ndarray,
        n_image: int,
        norm: Norm | None,
    ) -> "Rule":
        """The rule of a perception with matrix (H, image channels + F, 3, ...) and bias (H), and of an update (F, H).

        The mean that a layer norm subtracts is taken out of the matrices: hidden units then have mean 0 by themselves.
        """
        hidden = len(matrix)
        bias = np.zeros(hidden, np.float32) if bias is None else bias
        if norm is not None and norm.kind == "layer":
            matrix, bias = matrix - matrix.mean(axis=0), bias - bias.mean()
        last = np.moveaxis(matrix, 1, -1)  # (H, 3, ..., channels)
        image, state = (part.reshape(hidden, -1).T for part in (last[..., :n_image], last[..., n_image:]))
        from_image, from_state, bias, change = (
            np.ascontiguousarray(part, np.float32) for part in (image, state, bias, update.T)
        )
        return cls(from_image, from_state, bias, change, norm)

    def activate(self, hidden: np.ndarray) -> np.ndarray:
        """Norm and ReLU of hidden units (M, H), in place."""
        if self.norm is not None:
            squares = np.einsum("ij,ij->i", hidden, hidden)
            squares /= hidden.shape[1]
            squares += NORM_EPS[self.norm.kind]
            hidden *= np.float32(1) / np.sqrt(squares, out=squares)[:, None]
            hidden *= self.norm.gain
            hidden += self.norm.shift
        return np.maximum(hidden, 0, out=hidden)


@dataclass(frozen=True)
class Level:
    """factor: voxels of the image in a cell, per axis. steps: their number at this level."""

    factor: tuple[int, ...]
    steps: int
    rule: Rule


@dataclass(frozen=True)
class LightNCA:
    """A trained Med-NCA, coarsest level first.

    n_outputs: number of logits, which are the first of the free channels. sigmoid: True if the outputs are regions,
    False if they are classes.
    """

    levels: tuple[Level, ...]
    fire_rate: float
    border: Border
    n_outputs: int
    sigmoid: bool

    @property
    def dim(self) -> int:
        return len(self.levels[0].factor)

    @property
    def n_free(self) -> int:
        return self.levels[0].rule.update.shape[1]

    def logits(self, states: np.ndarray) -> np.ndarray:
        """States (R, F) -> (K, R)."""
        return np.ascontiguousarray(states[:, : self.n_outputs].T)


def pyramid(nca: LightNCA, image: np.ndarray) -> list[SeenImage]:
    """What each level sees of an image (channels, N, *spatial), float32. All folds of a model see the same.

    The sides are multiples of the coarsest factor. N: the number of slices in 2D, 1 in 3D.
    """
    seen: list[SeenImage] = []
    finer = (1,) * nca.dim
    for level in reversed(nca.levels):
        ratio = tuple(factor // before for factor, before in zip(level.factor, finer, strict=True))
        image, finer = averaged(image, ratio), level.factor
        seen.insert(0, SeenImage(image, nca.dim, nca.border))
    return seen


@dataclass(frozen=True)
class Pass:
    """What is known after a level. Each cell of the level's grid points to the row that holds the cell's state.

    states: one array (R, F) for the expected update, then one for each random run. pointer: int (N, *grid). computed:
    the share of cells that each level so far has computed, coarsest first.
    """

    nca: LightNCA
    states: tuple[np.ndarray, ...]
    pointer: np.ndarray
    computed: tuple[float, ...]

    def probabilities(self, index: int = 0) -> np.ndarray:
        """float32 (K, N, *grid) of random run `index`, where 0 is the expected update."""
        rows = self._of_rows(index)
        maps = np.empty((len(rows), *self.pointer.shape), np.float32)
        pointer = self.pointer.reshape(-1)
        for start in range(0, pointer.size, TAKEN):
            some = slice(start, start + TAKEN)
            maps.reshape(len(rows), -1)[:, some] = rows[:, pointer[some]]
        return maps

    def deviation(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """How far random run `index` lies from the expected update.

        Returns two sums over all cells, each (K + 1): |difference| of the probabilities, and the expected ones. The
        first K are the outputs; the last is the foreground (1 - background, or the most probable region).
        """
        cells = np.bincount(self.pointer.reshape(-1), minlength=len(self.states[0])).astype(np.float32)
        expected, drawn = (self._with_foreground(self._of_rows(one)) for one in (0, index))
        return np.abs(expected - drawn) @ cells, expected @ cells

    def _of_rows(self, index: int) -> np.ndarray:
        """The probabilities (K, R) of all rows of states."""
        logits = self.nca.logits(self.states[index])
        return sigmoid(logits) if self.nca.sigmoid else softmax(logits)

    def _with_foreground(self, rows: np.ndarray) -> np.ndarray:
        foreground = rows.max(axis=0) if self.nca.sigmoid else 1 - rows[0]
        return np.vstack([rows, foreground])


def level_by_level(
    nca: LightNCA,
    seen: Sequence[SeenImage],
    outline: Outline | None = None,
    runs: Sequence[Fires] = (),
    run_levels: int | None = None,
) -> Iterator[Pass]:
    """What is known after each level, coarsest first.

    runs: random runs beside the expected update. The expected update decides for all of them which cells are computed.
    run_levels: random runs end after this many levels; None lets them run through all.
    """
    states = [np.zeros((1, nca.n_free), np.float32) for _ in range(1 + len(runs))]
    pointer = np.zeros(seen[0].shape, np.int32)
    computed: tuple[float, ...] = ()
    for index, (level, image) in enumerate(zip(nca.levels, seen, strict=True)):
        if index == run_levels:
            states, runs = states[:1], ()
        active = None
        if index:
            ratio = tuple(a // f for a, f in zip(nca.levels[index - 1].factor, level.factor, strict=True))
            if outline is not None:
                sure, classes = sure_and_class(nca.logits(states[0]), nca.sigmoid, outline.eps)
                active = refined(near_open(sure[pointer], classes[pointer], nca.dim, outline.halo), ratio)
            pointer = refined(pointer, ratio)
        cells = np.arange(pointer.size) if active is None else np.flatnonzero(active)
        if cells.size:
            steps = LevelSteps(nca, index, image, cells, pointer)
            new = [steps.run(one, fires) for one, fires in zip(states, (None, *runs), strict=True)]
            pointer.reshape(-1)[cells] = np.arange(len(states[0]), len(states[0]) + len(cells), dtype=np.int32)
            states = [np.concatenate(pair) for pair in zip(states, new, strict=True)]
        computed += (cells.size / pointer.size,)
        yield Pass(nca, tuple(states), pointer, computed)


class LevelSteps:
    """A level's steps in `cells`, row-major indices (M,) in its grid. All other cells keep what they point to.

    What the expected update and random runs share is made once. The rows that the steps hold are those of the
    `involved` cells: the computed ones and all of their neighbours.
    """

    def __init__(self, nca: LightNCA, index: int, image: SeenImage, cells: np.ndarray, pointer: np.ndarray) -> None:
        self.nca, self.index, self.image, self.cells = nca, index, image, cells
        self.level, grid = nca.levels[index], image.grid
        self.computed = grid.padded_index(cells)
        involved = grid.with_neighbours(self.computed)
        row_of = np.empty(math.prod(grid.padded_shape), np.int32)  # only the entries written here are ever read
        row_of[involved] = np.arange(len(involved), dtype=np.int32)
        self.border, source = grid.border_cells(involved)
        inside = involved.copy()
        inside[self.border] = source
        self.given = pointer.reshape(-1)[grid.index(inside)]  # what each row holds before the first step
        self.source = row_of[source]
        self.rows = row_of[self.computed].astype(np.intp)
        self.firsts = row_of[self.computed[:, None] + grid.around[::3]].astype(np.intp)  # of each three neighbours
        self.base: np.ndarray | None = None
        if len(cells) * self.level.rule.bias.nbytes <= BASE_BYTES:
            self.base = _from_image(self.level.rule, image, self.computed)

    def run(self, states: np.ndarray, fires: Fires | None) -> np.ndarray:
        """The states (M, F) of the cells after the level's steps. They begin with what they point to in `states`."""
        rule, n_free, held = self.level.rule, self.nca.n_free, states[self.given]
        if self.nca.border == "zeros":
            held[self.border] = 0
        repeats = self.nca.border != "zeros" and self.border.size > 0
        seen = triples(held)
        update = rule.update if fires else rule.update * np.float32(self.nca.fire_rate)
        changes = np.empty((len(self.cells), n_free), np.float32)
        masks = fires(self.index, self.level.steps, self.cells) if fires else None
        for step in range(self.level.steps):
            if repeats:
                held[self.border] = held[self.source]
            chosen = None if masks is None else np.flatnonzero(masks[step])
            count = len(self.cells) if chosen is None else len(chosen)
            for start in range(0, count, ROWS):
                some = slice(start, start + ROWS) if chosen is None else chosen[start : start + ROWS]
                hidden = seen[self.firsts[some]].reshape(-1, len(rule.from_state)) @ rule.from_state
                if self.base is None:
                    hidden += _from_image(rule, self.image, self.computed[some])
                else:
                    hidden += self.base[some]
                np.matmul(rule.activate(hidden), update, out=changes[start : start + len(hidden)])
            held[self.rows if chosen is None else self.rows[chosen]] += changes[:count]
        return held[self.rows]


def _from_image(rule: Rule, image: SeenImage, cells: np.ndarray) -> np.ndarray:
    """The fixed channels' part of the hidden units (M, H), bias included."""
    hidden = np.empty((len(cells), len(rule.bias)), np.float32)
    for start in range(0, len(cells), ROWS):
        part = hidden[start : start + ROWS]
        np.matmul(image.rows(cells[start : start + ROWS]), rule.from_image, out=part)
        part += rule.bias
    return hidden


def sigmoid(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the first axis."""
    exponents = np.exp(logits - logits.max(axis=0))
    exponents /= exponents.sum(axis=0)
    return exponents
