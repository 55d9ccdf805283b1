"""The plan of `mednca`, our network."""

from collections.abc import Callable, Sequence
from functools import partial

from mednca_runtime.errors import InputError
from mednca_runtime.outline import Outline

from ..models.firing import computed_share
from .facts import Facts
from .levels import Factor, describe_factors, level_factors, level_steps
from .memory import available_bytes, largest_batch, nca_step_bytes
from .overrides import Overrides
from .patch import PATCH_LIMITS, containing, patch_sizes
from .plans import LevelPlan, NCAPlan, TrainingPlan
from .rule import Chosen, round_up
from .schedule import MOST_VIEWS, training_minutes

FIRE_RATE = 0.75  # findings: 0.5 is slower, 1.0 starts faster and ends lower
NORM, BORDER = "layer", "replicate"
HIDDEN_STATE, CHANNEL_MULTIPLE = 5, 8
LEAST_HIDDEN, MOST_HIDDEN = 64, 96
BATCH_SIZE = {2: 8, 3: 4}
MUON_RATE, EMA_DECAY = 0.02, 0.99
OUTLINE = Outline(eps=0.02, halo=1)


def channels(n_image: int, n_outputs: int, n_position: int = 0) -> Chosen:
    """Image channels, and a multiple of 8 for outputs and at least 5 of hidden state.

    n_position: of the image channels, those that tell the position.
    """
    position = f" and {n_position} of the position" if n_position else ""
    return Chosen(
        n_image + round_up(n_outputs + HIDDEN_STATE, CHANNEL_MULTIPLE),
        f"{n_image - n_position} of the image{position}; {n_outputs} of the outputs and at least {HIDDEN_STATE} "
        f"hidden, rounded up to a multiple of {CHANNEL_MULTIPLE} for speed",
    )


def hidden_units(n_free: int) -> Chosen:
    """n_free: channels besides the image's."""
    return Chosen(
        min(max(4 * n_free, LEAST_HIDDEN), MOST_HIDDEN),
        f"4 for each channel that is not the image's, at least {LEAST_HIDDEN} and at most {MOST_HIDDEN}",
    )


def cell_decision() -> Chosen:
    return Chosen(
        f"fire rate {FIRE_RATE:g}, {NORM} norm, edges repeated",
        "in prototypes 0.5 was slower, 1 started faster and ended lower, and a norm within each cell gave two points "
        "of Dice (for this one torch has a fast kernel); images are padded with their edges, too",
    )


def training_decision(mirrored: bool) -> Chosen:
    value = f"Muon at {MUON_RATE:g}, averaged weights (EMA {EMA_DECAY:g}), at the outline, augmented as in nnU-Net"
    because = (
        "Muon brought automata to a given Dice three to four times sooner than Adam; training that computes what "
        "prediction computes takes 0.6 to 0.7 of the time"
    )
    if mirrored:
        return Chosen(value, because)
    return Chosen(
        f"{value} but not mirrored",
        f"{because}; mirroring cost hippocampus six points of Dice, since anatomy has a left and a right",
    )


def outline_decision() -> Chosen:
    return Chosen(
        f"one pass; finer levels only within {OUTLINE.halo} cell{'s' * (OUTLINE.halo > 1)} of the outline",
        f"there the level above leaves more than {OUTLINE.eps:g} to other classes, or meets another class; all other "
        "cells keep what they were given. --everywhere of mednca_predict computes every cell",
    )


def factors_of(facts: Facts, user: Overrides) -> Chosen:
    """Downscale factors of `mednca`, coarsest first."""
    if user.levels:
        return Chosen(user.levels, "you chose it with --levels")
    return level_factors(facts.large_shape, facts.extents, facts.spacing_mm, FIRE_RATE)


def steps_of(facts: Facts, factors: Sequence[Factor], user: Overrides) -> Chosen:
    """Steps per level of `mednca`. Raises InputError when the user's are not one per level."""
    if user.steps and len(user.steps) != len(factors):
        levels = describe_factors(factors)
        raise InputError(
            f"--steps {' '.join(map(str, user.steps))}: expected one number for each of the {len(factors)} levels "
            f"({levels}), found {len(user.steps)}. Give as many, or choose the levels as well with --levels."
        )
    if user.steps:
        return Chosen(user.steps, "you chose it with --steps")
    return level_steps(facts.large_shape, factors, FIRE_RATE)


def plan_mednca(
    facts: Facts, size: tuple[int, ...], factors: Sequence[Factor], steps: Sequence[int], user: Overrides
) -> tuple[NCAPlan, Chosen, Chosen]:
    """Our network for images of `size`; with the choices of its patches and its batch size."""
    n_channels = user.channels or channels(facts.n_image, facts.n_outputs).value
    if n_channels <= facts.n_image + facts.n_outputs:
        raise InputError(
            f"--channels {n_channels}: expected more than the {facts.n_image} fixed channels "
            f"({facts.n_image - len(facts.position)} of the image, {len(facts.position)} of the position) and "
            f"{facts.n_outputs} outputs, so that something is left for the hidden state."
        )
    hidden = hidden_units(n_channels - facts.n_image).value
    step_bytes = partial(step_bytes_of, facts, size, n_channels, hidden, NORM, FIRE_RATE)
    patches, levels = _patches(facts, size, factors, steps, user, step_bytes)
    wished = BATCH_SIZE[facts.dim]
    batch, keep_every = batch_in_memory(wished, facts, levels, step_bytes)
    batch_choice = _batch_decision(batch, wished, facts, step_bytes(levels, batch, keep_every=keep_every), keep_every)
    minutes = training_minutes("mednca", size, facts.n_cases)
    training = TrainingPlan("muon", MUON_RATE, batch, EMA_DECAY, minutes, at_outline=True, most_views=MOST_VIEWS)
    plan = NCAPlan(
        n_channels,
        hidden,
        FIRE_RATE,
        NORM,
        BORDER,
        "matrix",
        levels,
        training,
        adjacent_slices=facts.adjacent_slices,
        position=facts.position,
        keep_every=keep_every,
        outline=OUTLINE,
    )
    return plan, patches, batch_choice


def batch_in_memory(
    wished: int, facts: Facts, levels: Sequence[LevelPlan], step_bytes: Callable[..., int]
) -> tuple[int, int]:
    """Batch size and `keep_every`: states are computed again before the batch shrinks."""
    fits = step_bytes(levels, wished) <= available_bytes(facts.memory_bytes)
    keep_every = 0 if fits else leanest(levels, step_bytes)
    return largest_batch(wished, facts.memory_bytes, partial(step_bytes, levels, keep_every=keep_every)), keep_every


def leanest(levels: Sequence[LevelPlan], step_bytes: Callable[..., int]) -> int:
    """How many steps apart to keep states, so that these and what is computed again between two take least memory."""
    apart = range(1, max(level.steps for level in levels) + 1)
    return min(apart, key=lambda keep_every: step_bytes(levels, 1, keep_every=keep_every))


def _patches(facts, size, factors, steps, user: Overrides, step_bytes) -> tuple[Chosen, tuple[LevelPlan, ...]]:
    """The largest patches with which at least a batch of two fits the memory budget."""
    for limit in PATCH_LIMITS:
        patches = patch_sizes(size, factors, limit)
        if user.patch:
            patches = Chosen(containing(user.patch, size, factors, patches.value), "you chose it with --patch")
        levels = levels_of(factors, steps, patches.value)
        if user.patch or step_bytes(levels, 2, keep_every=leanest(levels, step_bytes)) <= available_bytes(
            facts.memory_bytes
        ):
            break
    return patches, levels


def step_bytes_of(
    facts: Facts, size, n_channels: int, hidden: int, norm: str, fire_rate: float, levels, batch: int, keep_every=0
) -> int:
    """Of a training step on a CPU, where the sparse form needs less."""
    form, computed = (n_channels, hidden, norm), computed_share(fire_rate, "cpu")
    return nca_step_bytes(levels, size, facts.n_image, facts.n_outputs, *form, batch, keep_every, computed)


def levels_of(factors, steps, patches) -> tuple[LevelPlan, ...]:
    return tuple(LevelPlan(*level) for level in zip(factors, steps, patches, strict=True))


def _batch_decision(batch: int, wished: int, facts: Facts, step_bytes: int, keep_every: int) -> Chosen:
    budget = f"the memory budget of {facts.memory_bytes / 1e9:.3g} GB"
    takes = f"a training step takes about {step_bytes / 1e6:.0f} MB"
    kept = f"; {states_kept(keep_every)}" if keep_every else ""
    if step_bytes > available_bytes(facts.memory_bytes):
        least = f"the least there is, yet {takes}, more than {budget} leaves: give more with --memory"
        return Chosen(batch, least + kept)
    if batch < wished:
        return Chosen(batch, f"{takes}, the most that fits {budget}{kept}")
    return Chosen(batch, f"{wished} is enough in {facts.dim}D, and {takes} of {budget}{kept}")


def states_kept(keep_every: int) -> str:
    """Half a sentence on a plan that computes states again."""
    states = "states" if keep_every == 1 else f"one state in {keep_every}"
    return f"to save memory only {states} {'are' if keep_every == 1 else 'is'} kept for the backward pass"


def parameters(plan: NCAPlan, dim: int, n_image: int) -> int:
    """Weights of a planned network, as `models.nca` builds it."""
    c, h, taps = plan.channels, plan.hidden, 3**dim
    if plan.perception == "paper":
        return len(plan.levels) * (2 * (c * c * taps + c) + 3 * c * h + h + h * c)
    bias = h if plan.norm == "none" else 2 * h
    return len(plan.levels) * (c * taps * h + bias + h * (c - n_image))
