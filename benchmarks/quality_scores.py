"""Candidates for the quality score: functions of probabilities, and resilience, which lets an NCA go on.

Probabilities are of the foreground (1 - background, or the most probable region), (S, H, W). Every score is 0 where all
agree, and larger is worse.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import mean

import numpy as np

from benchmarks.recipe.robustness import class_dice
from mednca_pipeline.inference.light import LightNetwork, Seen
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.light_nca import LevelSteps, Pass, level_by_level

# perturb(states of the computed cells (M, F), number of outputs, rng) -> states
Perturb = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
NOISE, ZEROED = 0.5, 0.25


def foreground(probabilities: np.ndarray, labels: Labels) -> np.ndarray:
    """(K, ...) -> (...)"""
    return probabilities.max(axis=0) if labels.has_regions else 1 - probabilities[0]


def deviation(run: np.ndarray, expected: np.ndarray) -> float:
    """The product's formula: |difference| over the expected sum."""
    return float(np.abs(run - expected).sum() / expected.sum())


def spread(runs: Sequence[np.ndarray]) -> float:
    """Standard deviation over the runs, summed over the cells, over the sum of their mean."""
    return float(np.std(runs, axis=0).sum() / np.mean(runs, axis=0).sum())


def pairwise(runs: Sequence[np.ndarray]) -> float:
    """Mean |difference| of two runs, over the sum of the runs' mean."""
    between = mean(float(np.abs(one - other).sum()) for one, other in combinations(runs, 2))
    return between / float(np.mean(runs, axis=0).sum())


def missing_dice(probabilities: np.ndarray) -> float:
    """1 - the Dice that the segmentation p > 0.5 is expected to have if the probabilities are right: its overlap is
    the sum of p inside. NaN where nothing is segmented."""
    inside = probabilities > 0.5
    if not inside.any():
        return float("nan")
    return 1 - 2 * float(probabilities[inside].sum()) / float(inside.sum() + probabilities.sum())


def label_change(label_maps: Sequence[np.ndarray], labels: Labels) -> float:
    """1 - the mean Dice of classes between two of the label maps, averaged over all pairs."""
    return mean(1 - class_dice(one, other, labels) for one, other in combinations(label_maps, 2))


def noisy(states: np.ndarray, n_outputs: int, rng: np.random.Generator) -> np.ndarray:
    """All channels with noise of NOISE times their SD over the cells."""
    return states + NOISE * states.std(axis=0) * rng.standard_normal(states.shape, dtype=np.float32)


def zeroed(states: np.ndarray, n_outputs: int, rng: np.random.Generator) -> np.ndarray:
    """Hidden channels of a share ZEROED of the cells are 0."""
    states = states.copy()
    states[rng.random(len(states)) < ZEROED, n_outputs:] = 0
    return states


def unchanged(states: np.ndarray, n_outputs: int, rng: np.random.Generator) -> np.ndarray:
    return states


def last_pass(network: LightNetwork, seen: Seen) -> Pass:
    *_, last = level_by_level(network.nca, seen.levels, network.plan.outline)
    return last


def resumed(last: Pass, seen: Seen, perturb: Perturb, rng: np.random.Generator) -> Pass:
    """`last`, and as its random run 1 what the cells of the finest level become: perturbed, and after its steps again.

    Resilience (arXiv 2605.26726): a prediction to be trusted returns. There the NCA has one level.
    """
    index, before = len(last.nca.levels) - 1, last.states[0]
    first = len(before) - round(last.computed[-1] * last.pointer.size)  # the computed cells' rows are the last ones
    cells = np.flatnonzero(last.pointer.reshape(-1) >= first)
    after = before.copy()
    if cells.size:
        after[first:] = perturb(before[first:], last.nca.n_outputs, rng)
        after[first:] = LevelSteps(last.nca, index, seen.levels[index], cells, last.pointer).run(after, None)
    return replace(last, states=(before, after))


def resilience(passes: Sequence[tuple[Seen, Pass]], perturb: Perturb, labels: Labels) -> tuple[float, float]:
    """How far an image does not return: its deviation as the product has it, and its label change. 2D automata."""
    before, after, rng = [], [], np.random.default_rng(0)
    for seen, last in passes:
        went_on = resumed(last, seen, perturb, rng)
        before.append(seen.pad.inverse(went_on.probabilities(0)))
        after.append(seen.pad.inverse(went_on.probabilities(1)))
    both = [np.concatenate(parts, axis=1) for parts in (before, after)]
    expected, other = (foreground(probabilities, labels) for probabilities in both)
    return deviation(other, expected), label_change([labels.decode(one) for one in both], labels)
