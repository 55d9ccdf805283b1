"""Large images in tiles: the finer levels run on one small box of the image after the other.

In a step a cell reads only its neighbours. So the states of a box after `steps` steps depend on the box and a halo of
`steps` cells around it, and on nothing beyond. Where a box is cut out of a larger grid, the convolution's border mode
invents the cells outside. That error moves inwards one cell per step and is cropped away with the halo. Where the image
ends, the box ends too, and the border mode does what it does for the whole image. So the logits are the same.

The coarsest level, which carries global knowledge, runs whole. Each tile then goes through all finer levels by itself.
The memory that the finer levels need depends on the size of the tile and not on that of the image.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from types import EllipsisType

from torch import Tensor

from ..plans.model_plans import LevelPlan
from .fire_masks import Box, FireMasks
from .mednca import MedNCA
from .prediction import level_states
from .steps import run_steps
from .windows import Window


def tiled_logits(network: MedNCA, image: Tensor, cells: int, fires: FireMasks | None = None) -> Tensor:
    """As `predict_logits` without an outline, in tiles.

    image: (B, n_image, *spatial) -> logits (B, n_outputs, *spatial). cells: a tile has at most so many cells of the
    finest level, not counting the halo.
    """
    levels = network.plan.levels
    grids = [tuple(s // f for s, f in zip(image.shape[2:], level.factor, strict=True)) for level in levels]
    (coarsest,) = next(level_states(network, image, None, [fires]))  # (B, C, *grids[0])
    logits = coarsest.new_empty(len(image), network.n_outputs, *grids[-1])
    for tile in cut(grids[-1], tile_size(grids[-1], cells)):
        state, boxes = coarsest, boxes_to_compute(levels, grids, tile)
        for index in range(1, len(levels)):
            level, box = levels[index], boxes[index]
            above = _coarser(box, _ratio(levels[index - 1], level))
            state = state[_inside(above, boxes[index - 1])]
            seen = image[_index(_finer(box, level.factor))]
            size = tuple(part.stop - part.start for part in box)
            state = network.enter_level(state, seen, index, Window(None, size))  # (B, C, *size)
            fired = None if fires is None else fires(index, level.steps, grids[index], box)
            share = network.plan.fire_rate if fires is None else 1.0
            state = run_steps(network.cell(index), state, fired, level.steps, share=share)
        logits[_index(tile)] = network.logits(state[_inside(tile, boxes[-1])])
    return logits


def boxes_to_compute(levels: Sequence[LevelPlan], grids: Sequence[tuple[int, ...]], tile: Box) -> list[Box]:
    """The box that each level, coarsest first, must run on so that the finest level is right in `tile`.

    The boxes are made from the finest level backwards. What is needed of a level grows by its number of steps, up to
    the end of its grid, and then to whole cells of the level above. Those cells are what is needed of the level above.
    The coarsest level runs whole.
    """
    boxes, needed = [], tile
    for index in range(len(levels) - 1, 0, -1):
        steps, ratio = levels[index].steps, _ratio(levels[index - 1], levels[index])
        grown = [
            slice(max(0, part.start - steps), min(side, part.stop + steps))
            for part, side in zip(needed, grids[index], strict=True)
        ]
        needed = _coarser(grown, ratio)
        boxes.append(_finer(needed, ratio))
    return [tuple(slice(0, side) for side in grids[0]), *reversed(boxes)]


def tile_size(grid: Sequence[int], cells: int) -> tuple[int, ...]:
    """Sides of a tile of at most `cells` cells, as near to a cube as `grid` allows: a cube has the smallest halo.

    An axis that is shorter than the cube's side is taken whole and leaves more to the others.
    """
    sides, left = list(grid), cells
    for taken, axis in enumerate(sorted(range(len(grid)), key=lambda axis: grid[axis])):
        equal_share = int(left ** (1 / (len(grid) - taken)) + 1e-9)  # 262143.99... is 2^18
        sides[axis] = max(1, min(grid[axis], equal_share))
        left //= sides[axis]
    return tuple(sides)


def cut(grid: Sequence[int], size: Sequence[int]) -> Iterator[Box]:
    """Boxes of `size`, smaller at the end of an axis, that cover each cell of `grid` once."""
    axes = [
        [slice(first, min(first + length, side)) for first in range(0, side, length)]
        for side, length in zip(grid, size, strict=True)
    ]
    return product(*axes)


def _ratio(above: LevelPlan, level: LevelPlan) -> tuple[int, ...]:
    """The number of cells of `level` in a cell of the level above, per axis."""
    return tuple(a // f for a, f in zip(above.factor, level.factor, strict=True))


def _coarser(box: Sequence[slice], ratio: Sequence[int]) -> Box:
    """The cells, `ratio` times as large, that the box touches."""
    return tuple(slice(part.start // r, -(-part.stop // r)) for part, r in zip(box, ratio, strict=True))


def _finer(box: Box, ratio: Sequence[int]) -> Box:
    """The same box in cells that are smaller by `ratio`."""
    return tuple(slice(part.start * r, part.stop * r) for part, r in zip(box, ratio, strict=True))


def _index(box: Box) -> tuple[EllipsisType | slice, ...]:
    """The index that cuts `box` from a tensor (B, C, *grid)."""
    return (..., *box)


def _inside(box: Box, outer: Box) -> tuple[EllipsisType | slice, ...]:
    """The index that cuts `box` from a tensor (B, C, *sides of outer)."""
    return _index(tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True)))
