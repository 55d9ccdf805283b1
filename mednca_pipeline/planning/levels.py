"""Levels of an NCA: downscale factors per level and axis, and steps per level."""

import math
from collections.abc import Sequence

from ..plans.model_plans import grid_shape
from ..runtime.units import voxel_unit
from .rule import Chosen, power_of_two_below, times

Factor = tuple[int, ...]

SMALLEST_CELLS = 0.5  # the smallest structure spans at least so many cells of the coarsest grid
FIRST_LEVELS = 3  # /4, /2, /1
MOST_LEVELS = 8  # /128
MAX_COARSE_STEPS = 12  # levels are added until so many steps cross half the coarsest grid: levels cost less than steps
MIN_STEPS, MAX_STEPS = 8, 32
FINER_STEPS, FINEST_STEPS = 6, 4
WHOLE_CELLS = {2: 64**2, 3: 24**3}  # the largest coarsest grid that training sees as a whole


def largest_factors(extents: Sequence[float]) -> Factor:
    """Per axis the largest power of two that leaves a structure of `extents` working voxels at least half a cell.

    The coarsest level knows the whole image; finer levels find small structures (docs/explanation/recipe-notebook.md).
    """
    return tuple(power_of_two_below(extent / SMALLEST_CELLS + 1e-6) for extent in extents)


def isotropic_factor(scale: int, spacing_mm: Sequence[float]) -> Factor:
    """Factors that bring all axes closest to `scale` times the finest spacing; 1 for an axis as coarse as that."""
    finest = min(spacing_mm)
    wanted = (scale * finest / value for value in spacing_mm)
    return tuple(max(1, 2 ** math.floor(math.log2(ratio) + 0.5)) for ratio in wanted)


def can_cross(grid: Sequence[int], fire_rate: float) -> bool:
    """Whether training sees the whole grid, and MAX_COARSE_STEPS carry knowledge from its middle to its ends."""
    return wanted_steps(grid, fire_rate) <= MAX_COARSE_STEPS and math.prod(grid) <= WHOLE_CELLS[len(grid)]


def wanted_steps(grid: Sequence[int], fire_rate: float) -> int:
    """The number of steps in which knowledge travels half the longest side, at one cell per fired step."""
    return math.ceil(0.5 * max(grid) / fire_rate)


def level_factors(
    image_shape: Sequence[float], extents: Sequence[float], spacing_mm: Sequence[float], fire_rate: float
) -> Chosen[tuple[Factor, ...]]:
    """Factors, coarsest first: /4, /2, /1, and coarser levels where they are needed and keep the smallest structure.

    image_shape: working voxels per axis of a large image. extents: working voxels of the smallest structure.
    """
    largest = largest_factors(extents)
    factors: list[Factor] = []
    forbidden = False
    for index in range(MOST_LEVELS):
        if index >= FIRST_LEVELS and can_cross(grid_shape(image_shape, factors[0]), fire_rate):
            break
        wished = isotropic_factor(2**index, spacing_mm)
        allowed = tuple(min(pair) for pair in zip(wished, largest, strict=True))
        forbidden = allowed != wished
        if not factors or allowed != factors[0] and (index < FIRST_LEVELS or _helps(image_shape, allowed, factors[0])):
            factors.insert(0, allowed)
    grid = grid_shape(image_shape, factors[0])
    smallest = f"{times(round(extent, 1) for extent in extents)} {voxel_unit(len(extents))}"
    reason = (
        f"the smallest structure ({smallest}) spans at least "
        f"{SMALLEST_CELLS:g} cells of the coarsest grid ({times(grid)})"
    )
    if not can_cross(grid, fire_rate):
        more = "a coarser level would lose that structure" if forbidden else "no coarser level is allowed"
        reason += f"; {MAX_COARSE_STEPS} steps do not cross half of that grid, but {more}"
    elif len(factors) > FIRST_LEVELS:
        reason += f"; more than {FIRST_LEVELS} levels, so that {MAX_COARSE_STEPS} steps cross half of that grid"
    return Chosen(tuple(factors), reason)


def _helps(image_shape: Sequence[float], coarser: Factor, factor: Factor) -> bool:
    """Whether a coarser level takes fewer steps to cross, or brings down the cells of a grid that has too many."""
    grids = grid_shape(image_shape, coarser), grid_shape(image_shape, factor)
    return max(grids[0]) < max(grids[1]) or math.prod(grids[1]) > WHOLE_CELLS[len(factor)]


def level_steps(image_shape: Sequence[float], factors: Sequence[Factor], fire_rate: float) -> Chosen[tuple[int, ...]]:
    """Steps per level, coarsest first."""
    grid = grid_shape(image_shape, factors[0])
    wanted = wanted_steps(grid, fire_rate)
    first = min(max(wanted, MIN_STEPS), MAX_STEPS)
    rest = len(factors) - 1
    steps = (first, *(FINER_STEPS,) * (rest - 1), *(FINEST_STEPS,) * min(rest, 1))
    reason = f"{wanted} steps at fire rate {fire_rate:g} cross half of the {max(grid)} cells of the coarsest level"
    if first != wanted:
        reason += f", kept within {MIN_STEPS} to {MAX_STEPS}"
    return Chosen(steps, reason + ("; steps at full resolution cost most, so they are few" if rest else ""))


def describe_factors(factors: Sequence[Factor]) -> str:
    """Such as "/4, /2, /1", or per axis where they differ: "/1x4x4"."""
    return ", ".join("/" + (str(factor[0]) if len(set(factor)) == 1 else times(factor)) for factor in factors)
