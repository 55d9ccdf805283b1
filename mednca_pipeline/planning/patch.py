"""What training sees of each level: the whole grid, or a patch of it."""

import math
from collections.abc import Sequence

from ..plans.model_plans import grid_shape
from ..runtime.errors import InputError
from .levels import WHOLE_CELLS, Factor
from .rule import Chosen, times

SMALL_IMAGE = 64
PATCH_SMALL, PATCH = 24, 32  # cells per axis
PATCH_LIMITS = (PATCH, 16, 8)  # tried in turn until a training step fits the memory budget

Patches = Sequence[tuple[int, ...] | None]  # one per level, coarsest first; None: the whole grid


def patch_sizes(size: Sequence[int], factors: Sequence[Factor], most_side: int = PATCH) -> Chosen[Patches]:
    """Per level, what training sees in the level's own cells, or None for the whole grid.

    size: the image size, a multiple of the coarsest factor. A grid with more cells than a patch gets a patch. The
    window of a patch is a multiple of the coarsest factor, so that windows of finer levels lie in those of coarser
    levels.
    """
    dim = len(size)
    limit = min(patch_limit(size), most_side)
    most = min(most_side, PATCH) ** 2 if dim == 2 else limit**3
    patches: list[tuple[int, ...] | None] = []
    for index, factor in enumerate(factors):
        grid = grid_shape(size, factor)
        enough = WHOLE_CELLS[dim] if index == 0 else most
        side = round(enough ** (1 / dim)) if index == 0 else limit
        whole = math.prod(grid) <= enough
        patches.append(None if whole else aligned_patch((side,) * dim, grid, factor, factors[0]))
    if patches[-1] is None:
        return Chosen(tuple(patches), f"training sees every level as a whole: no grid has more than {most} cells")
    coarse = ""
    if patches[0] is not None:
        coarsest = times(grid_shape(size, factors[0]))
        coarse = f"; even the coarsest grid ({coarsest}) is too large to be trained as a whole"
    return Chosen(
        tuple(patches),
        f"grids of more than {most} cells are trained on patches of up to {times((limit,) * dim)}, "
        f"half of them placed on the foreground{coarse}",
    )


def patch_limit(size: Sequence[int]) -> int:
    """Cells per axis of a patch: the smaller limit for small images, and for 3D because of its cost."""
    return PATCH_SMALL if len(size) == 3 or max(size) < SMALL_IMAGE else PATCH


def aligned_patch(
    wished: Sequence[int], grid: Sequence[int], factor: Sequence[int], coarsest: Sequence[int]
) -> tuple[int, ...]:
    """The largest patch up to `wished` cells, inside the grid, whose window is a multiple of the coarsest factor."""
    patch = []
    for side, cells, own, coarse in zip(wished, grid, factor, coarsest, strict=True):
        unit = coarse // own
        patch.append(min(max(side // unit, 1), -(-cells // unit)) * unit)
    return tuple(patch)


def containing(
    finest: Sequence[int], size: Sequence[int], factors: Sequence[Factor], patches: Patches
) -> tuple[tuple[int, ...] | None, ...]:
    """`patches` with the user's patch `finest` at the finest level. Other patches grow until its window fits in theirs.

    Raises InputError when the finest patch is not a multiple of the coarsest factor.
    """
    finest = tuple(min(pair) for pair in zip(finest, size, strict=True))
    if any(side % factor for side, factor in zip(finest, factors[0], strict=True)):
        raise InputError(
            f"--patch {times(finest)}",
            f"multiples of the coarsest level's factor {times(factors[0])}, where the image size is {times(size)}",
            remedy="Choose a patch whose window fits whole cells of every level.",
        )
    grown = [
        patch and tuple(max(side, f // own) for side, f, own in zip(patch, finest, factor, strict=True))
        for patch, factor in zip(patches[:-1], factors[:-1], strict=True)
    ]
    return (*grown, None if finest == tuple(size) else finest)
