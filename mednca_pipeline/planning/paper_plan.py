"""The plan of `mednca_paper`: the network and recipe as published.

Source: Kalkhof, González, Mukhopadhyay, Med-NCA, IPMI 2023, section 3.
"""

from collections.abc import Sequence
from functools import partial

from ..plans.plans import NCAPlan, TrainingPlan
from .facts import Facts
from .levels import Factor, describe_factors, grid_shape
from .memory import available_bytes
from .nca_plans import batch_in_memory, channels, levels_of, states_kept, step_bytes_of
from .patch import aligned_patch
from .rule import Chosen, round_up, times
from .schedule import training_minutes

FACTOR, SMALLEST_AXIS = 4, 16  # an axis below 16 voxels is not downscaled
CHANNELS, HIDDEN_PER_CHANNEL, FIRE_RATE = 32, 4, 0.5
SMALL_IMAGE, STEPS_SMALL_IMAGE, STEPS = 64, 16, 64
RATE, BETAS, BATCH = 16e-4, (0.5, 0.5), 48


def plan_paper(facts: Facts, size: tuple[int, ...]) -> tuple[NCAPlan, Chosen]:
    """The published network for images of `size`: two levels, the finest on a patch as large as the coarse grid."""
    factors = paper_factors(facts.large_shape)
    coarse = grid_shape(size, factors[0])
    patch = aligned_patch(_ceil_to(coarse, factors[0]), grid_shape(size, factors[1]), factors[1], factors[0])
    small = max(facts.large_shape) <= SMALL_IMAGE
    steps = STEPS_SMALL_IMAGE if small else STEPS
    levels = levels_of(factors, (steps, steps), (None, None if patch == tuple(size) else patch))
    n_channels = max(CHANNELS, channels(facts.n_image, facts.n_outputs).value)
    hidden = HIDDEN_PER_CHANNEL * n_channels
    step_bytes = partial(step_bytes_of, facts, size, n_channels, hidden, "none", FIRE_RATE)
    batch, keep_every = batch_in_memory(BATCH, facts, levels, step_bytes)
    expected = step_bytes(levels, batch, keep_every=keep_every)
    training = TrainingPlan(
        "adam",
        RATE,
        batch,
        0.0,
        training_minutes("mednca_paper", size, facts.n_cases),
        betas=BETAS,
    )
    plan = NCAPlan(n_channels, hidden, FIRE_RATE, "none", "reflect", "paper", levels, training, keep_every=keep_every)
    memory = f"; {states_kept(keep_every)}" if keep_every else ""
    memory += "" if batch == BATCH else f"; the batch is {batch} of the paper's {BATCH}, for memory"
    if expected > available_bytes(facts.memory_bytes):
        memory += f"; even one image takes {expected / 1e9:.1f} GB, more than the memory budget leaves"
    return plan, Chosen(
        f"{describe_factors(factors)}, {steps} steps each, {n_channels} channels, patch {times(patch)}, batch {batch}",
        "the published network and recipe (Kalkhof et al., Med-NCA, 2023); 16 steps up to 64x64, 64 above" + memory,
    )


def paper_factors(large_shape: Sequence[float]) -> tuple[Factor, Factor]:
    """/4 and /1; an axis too short to be seen at a quarter keeps its cells."""
    return tuple(FACTOR if side >= SMALLEST_AXIS else 1 for side in large_shape), (1,) * len(large_shape)


def _ceil_to(grid: Sequence[int], multiple: Sequence[int]) -> tuple[int, ...]:
    return tuple(round_up(side, step) for side, step in zip(grid, multiple, strict=True))
