"""The plan of `mednca_paper`: the network and recipe as published.

Source: Kalkhof, González, Mukhopadhyay, Med-NCA, IPMI 2023, section 3.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..plans.model_plans import NCAPlan, TrainingPlan, grid_shape
from .levels import Factor, describe_factors
from .memory import available_bytes
from .model_task import ModelTask, Note, PlannedModel
from .nca_plans import bytes_of, channels, in_memory, levels_of, states_kept
from .patch import aligned_patch
from .rule import Chosen, round_up, times

FACTOR, SMALLEST_AXIS = 4, 16  # an axis below 16 voxels is not downscaled
CHANNELS, HIDDEN_PER_CHANNEL, FIRE_RATE = 32, 4, 0.5
SMALL_IMAGE, STEPS_SMALL_IMAGE, STEPS = 64, 16, 64
RATE, BETAS, BATCH = 16e-4, (0.5, 0.5), 48


def plan_paper(task: ModelTask) -> PlannedModel:
    """Two levels, the finest on a patch as large as the coarse grid. In 2D the network sees one slice by itself."""
    task = replace(task, facts=task.slice_alone)
    facts, size = task.facts, task.size
    factors = paper_factors(facts.large_shape)
    coarse = grid_shape(size, factors[0])
    wished = tuple(map(round_up, coarse, factors[0]))
    patch = aligned_patch(wished, grid_shape(size, factors[1]), factors[1], factors[0])
    small = max(facts.large_shape) <= SMALL_IMAGE
    steps = STEPS_SMALL_IMAGE if small else STEPS
    levels = levels_of(factors, (steps, steps), (None, None if patch == tuple(size) else patch))
    n_channels = max(CHANNELS, channels(facts.n_image, facts.n_outputs).value)
    training = TrainingPlan("adam", RATE, BATCH, 0.0, task.minutes, betas=BETAS)
    hidden = HIDDEN_PER_CHANNEL * n_channels
    draft = NCAPlan(n_channels, hidden, FIRE_RATE, "none", "reflect", "paper", levels, training)
    plan = in_memory(draft, task)
    batch, takes = plan.training.batch_size, bytes_of(plan, task)
    memory = f"; {states_kept(plan.keep_every)}" if plan.keep_every else ""
    if batch != BATCH:
        memory += f"; the batch is {batch} instead of the paper's {BATCH} to fit the memory budget"
    if takes > available_bytes(facts.memory_bytes):
        memory += f"; even one image takes {takes / 1e9:.1f} GB, more than the memory budget leaves"
    chosen = Chosen(
        f"{describe_factors(factors)}, {steps} steps each, {n_channels} channels, patch {times(patch)}, batch {batch}",
        "the published network and recipe (Kalkhof et al., Med-NCA, 2023); 16 steps up to 64x64, 64 above" + memory,
    )
    return PlannedModel(plan, [Note("mednca_paper", chosen)])


def paper_factors(large_shape: Sequence[float]) -> tuple[Factor, Factor]:
    """/4 and /1. An axis too short to be seen at a quarter keeps its cells."""
    return tuple(FACTOR if side >= SMALLEST_AXIS else 1 for side in large_shape), (1,) * len(large_shape)
