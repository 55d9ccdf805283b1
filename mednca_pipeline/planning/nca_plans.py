"""The plan of `mednca`, our network."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..models.nca_cost import parameters, step_bytes
from ..plans.model_plans import LevelPlan, NCAPlan, TrainingPlan
from ..runtime.errors import InputError
from ..runtime.grid import Border
from ..runtime.light_nca import NormKind
from ..runtime.outline import Outline
from .augmentation import augmentation_decisions, augmented
from .facts import Facts
from .levels import Factor, describe_factors, level_factors, level_steps
from .memory import available_bytes, largest_batch
from .model_task import ModelTask, Note, PlannedModel
from .overrides import Overrides
from .patch import PATCH_LIMITS, Patches, containing, patch_sizes
from .rule import Chosen, round_up, times
from .schedule import MOST_VIEWS

FIRE_RATE = 0.75  # 0.5 is slower; 1.0 starts faster and ends lower
NORM: NormKind = "layer"
BORDER: Border = "replicate"
HIDDEN_STATE, CHANNEL_MULTIPLE = 5, 8
LEAST_HIDDEN, MOST_HIDDEN = 64, 96
BATCH_SIZE = {2: 8, 3: 4}
MUON_RATE, EMA_DECAY = 0.02, 0.99
EXPECTED_SHARE = 0.5  # of the iterations; without them, long trainings on few images drift from what predicts
OUTLINE = Outline(eps=0.02, halo=1)


def channels(n_image: int, n_outputs: int, n_position: int = 0) -> Chosen[int]:
    """The image channels, and a multiple of 8 for the outputs and at least 5 channels of hidden state.

    n_position: how many of the image channels tell the position.
    """
    position = f" and {n_position} for the position" if n_position else ""
    return Chosen(
        n_image + round_up(n_outputs + HIDDEN_STATE, CHANNEL_MULTIPLE),
        f"{n_image - n_position} for the image{position}; {n_outputs} for the outputs and at least {HIDDEN_STATE} "
        f"hidden ones, together rounded up to a multiple of {CHANNEL_MULTIPLE} for speed",
    )


def hidden_units(n_free: int) -> Chosen[int]:
    """n_free: channels besides the image's."""
    return Chosen(
        min(max(4 * n_free, LEAST_HIDDEN), MOST_HIDDEN),
        f"4 for each channel besides those of image and position, at least {LEAST_HIDDEN} and at most {MOST_HIDDEN}",
    )


def cell_decision() -> Chosen[str]:
    return Chosen(
        f"fire rate {FIRE_RATE:g}, {NORM} norm, edges repeated",
        "in prototypes a fire rate of 0.5 was slower, and 1 started faster and ended lower; a norm within each cell "
        "gave two points of Dice, and torch has a fast kernel for the layer norm; images are padded with their edges, "
        "too",
    )


def training_decision(mirrored: bool) -> Chosen[str]:
    value = (
        f"Muon at {MUON_RATE:g}, averaged weights (EMA {EMA_DECAY:g}), at the outline, the expected update in "
        f"{EXPECTED_SHARE:.0%} of the iterations, augmented as in nnU-Net"
    )
    because = (
        "Muon brought NCAs to a given Dice three to four times sooner than Adam; training that computes only what "
        "prediction computes takes 0.6 to 0.7 of the time; without the expected update a long training on few images "
        "drifts away from what prediction does"
    )
    if mirrored:
        return Chosen(value, because)
    return Chosen(
        f"{value} but not mirrored",
        f"{because}; mirroring cost hippocampus six points of Dice, since anatomy has a left and a right",
    )


def outline_decision() -> Chosen[str]:
    return Chosen(
        f"one pass; finer levels only within {OUTLINE.halo} cell{'s' * (OUTLINE.halo > 1)} of the outline",
        f"at the outline the level above gives more than {OUTLINE.eps:g} of the probability to other classes, or has a "
        "neighbour of another class; all other cells keep the state that they were given; mednca_predict --everywhere "
        "computes every cell",
    )


def factors_of(facts: Facts, user: Overrides) -> Chosen[tuple[Factor, ...]]:
    """Downscale factors of `mednca`, coarsest first."""
    if user.levels:
        return Chosen(user.levels, "you chose it with --levels")
    return level_factors(facts.large_shape, facts.extents, facts.spacing_mm, FIRE_RATE)


def steps_of(facts: Facts, factors: Sequence[Factor], user: Overrides) -> Chosen[tuple[int, ...]]:
    """Steps per level of `mednca`. Raises InputError when the user's steps are not one number per level."""
    if user.steps and len(user.steps) != len(factors):
        levels = describe_factors(factors)
        raise InputError(
            f"--steps {' '.join(map(str, user.steps))}",
            f"one number for each of the {len(factors)} levels ({levels})",
            str(len(user.steps)),
            "Give as many, or choose the levels as well with --levels.",
        )
    if user.steps:
        return Chosen(user.steps, "you chose it with --steps")
    return level_steps(facts.large_shape, factors, FIRE_RATE)


def plan_mednca(task: ModelTask) -> PlannedModel:
    """Our network."""
    facts, user = task.facts, task.user
    width = channels(facts.n_image, facts.n_outputs, len(facts.position))
    n_channels = user.channels or width.value
    if n_channels <= facts.n_image + facts.n_outputs:
        raise InputError(
            f"--channels {n_channels}",
            f"more than the {facts.n_image} fixed channels ({facts.n_image - len(facts.position)} for the image, "
            f"{len(facts.position)} for the position) and {facts.n_outputs} outputs",
            remedy="Leave some for the hidden state.",
        )
    hidden = hidden_units(n_channels - facts.n_image)
    wished = BATCH_SIZE[facts.dim]
    training = TrainingPlan(
        "muon",
        MUON_RATE,
        wished,
        EMA_DECAY,
        task.minutes,
        at_outline=True,
        most_views=MOST_VIEWS,
        expected_share=EXPECTED_SHARE,
    )
    draft = NCAPlan(
        n_channels,
        hidden.value,
        FIRE_RATE,
        NORM,
        BORDER,
        "matrix",
        levels=(),
        training=augmented(training, task.channel_names, facts.dim),
        adjacent_slices=facts.adjacent_slices,
        position=facts.position,
        outline=OUTLINE,
    )
    patches, draft = _with_patches(draft, task)
    plan = in_memory(draft, task)
    batch, takes = plan.training.batch_size, bytes_of(plan, task)
    windows = ", ".join(times(patch) if patch else "whole" for patch in patches.value)
    because = "you chose it with --channels" if user.channels else width.because
    total = parameters(plan, facts.dim, facts.n_image)
    notes = [
        Note("patch", Chosen(windows, patches.because), user.patch),
        Note("channels", Chosen(str(n_channels), because), user.channels),
        Note("hidden units", Chosen(str(hidden.value), f"{hidden.because}: {total:,} parameters in all")),
        Note("batch size", Chosen(str(batch), _batch_reason(batch, wished, facts, takes, plan.keep_every))),
        Note("cell", cell_decision()),
        Note("training", training_decision(bool(plan.training.mirror_axes))),
        Note("prediction", outline_decision()),
    ]
    notes += [Note(name, chosen) for name, chosen in augmentation_decisions(task.channel_names, facts.dim)]
    return PlannedModel(plan, notes)


def bytes_of(plan: NCAPlan, task: ModelTask, batch_size: int | None = None, keep_every: int | None = None) -> int:
    """Bytes of a training step on a CPU, with another batch size or gradient checkpointing than the plan's if given."""
    if batch_size is not None:
        plan = replace(plan, training=replace(plan.training, batch_size=batch_size))
    if keep_every is not None:
        plan = replace(plan, keep_every=keep_every)
    return step_bytes(plan, task.size, task.facts.n_image, task.facts.n_outputs)


def in_memory(plan: NCAPlan, task: ModelTask) -> NCAPlan:
    """The plan with the batch that fits the memory budget. Gradient checkpointing comes before a smaller batch."""
    budget = task.facts.memory_bytes
    if bytes_of(plan, task) > available_bytes(budget):
        plan = replace(plan, keep_every=_leanest(plan, task))
    batch = largest_batch(
        plan.training.batch_size, budget, lambda batch_size: bytes_of(plan, task, batch_size=batch_size)
    )
    return replace(plan, training=replace(plan.training, batch_size=batch))


def leanest(plan: NCAPlan, takes: Callable[[int], int]) -> int:
    """The `keep_every` with which gradient checkpointing takes least memory.

    Both the kept states and what is computed again between two of them count. takes: keep_every -> bytes of a training
    step.
    """
    return min(range(1, max(level.steps for level in plan.levels) + 1), key=takes)


def _leanest(plan: NCAPlan, task: ModelTask) -> int:
    return leanest(plan, lambda keep_every: bytes_of(plan, task, batch_size=1, keep_every=keep_every))


def _with_patches(draft: NCAPlan, task: ModelTask) -> tuple[Chosen[Patches], NCAPlan]:
    """The largest patches with which a batch of two or more fits the memory budget, and the plan with these levels."""
    asked = task.user.patch
    for limit in PATCH_LIMITS:
        patches = patch_sizes(task.size, task.factors, limit)
        if asked:
            patches = Chosen(containing(asked, task.size, task.factors, patches.value), "you chose it with --patch")
        plan = replace(draft, levels=levels_of(task.factors, task.steps, patches.value))
        least = bytes_of(plan, task, batch_size=2, keep_every=_leanest(plan, task))
        if asked or least <= available_bytes(task.facts.memory_bytes):
            break
    return patches, plan


def levels_of(factors: Sequence[Factor], steps: Sequence[int], patches: Patches) -> tuple[LevelPlan, ...]:
    return tuple(LevelPlan(*level) for level in zip(factors, steps, patches, strict=True))


def _batch_reason(batch: int, wished: int, facts: Facts, step_bytes: int, keep_every: int) -> str:
    budget = f"the memory budget of {facts.memory_bytes / 1e9:.3g} GB"
    takes = f"a training step takes about {step_bytes / 1e6:.0f} MB"
    kept = f"; {states_kept(keep_every)}" if keep_every else ""
    if step_bytes > available_bytes(facts.memory_bytes):
        return f"{takes}, more than {budget} leaves, but no batch is smaller: give more with --memory{kept}"
    if batch < wished:
        return f"{takes}, the most that fits {budget}{kept}"
    return f"{wished} is enough in {facts.dim}D, and {takes} of {budget}{kept}"


def states_kept(keep_every: int) -> str:
    """Half a sentence on a plan with gradient checkpointing."""
    states = "only the states" if keep_every == 1 else f"only one state in {keep_every}"
    return f"to save memory gradient checkpointing keeps {states} for the backward pass"
