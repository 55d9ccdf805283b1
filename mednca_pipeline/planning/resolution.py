"""Working resolution: the coarsest grid that the labels survive."""

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np

from ..fingerprint.ceilings import coarser_spacings
from ..fingerprint.fingerprint import CaseFingerprint, Fingerprint
from ..runtime.units import distance_unit
from .rule import Chosen
from .sizes import reordered

# The least Dice between labels and the same labels after the way to the grid and back: the mean, and each class.
LEAST_CEILING, LEAST_CLASS_CEILING = 0.99, 0.98


def working_spacing(
    fingerprint: Fingerprint, axes: Sequence[int], target: Sequence[float]
) -> Chosen[tuple[float, ...]]:
    """The spacing per axis: `target`, or the coarsest spacing of the ladder at which the labels keep their Dice.

    axes: the axes that the configuration resamples. No axis becomes finer. Prediction restores labels to the full
    resolution.
    """
    unit = distance_unit(fingerprint.spacing_known, fingerprint.ndim)
    ladder = {spacing: mean_ceilings(fingerprint, axes, spacing) for spacing in coarser_spacings(min(target))}
    # A later spacing that passes by luck does not count.
    kept = list(takewhile(lambda step: not _fault(ladder[step]), ladder))
    spacing = tuple(max((value, *kept[-1:])) for value in target)
    following = next((step for step in ladder if not kept or step > kept[-1]), None)
    found = ""
    if kept:
        found = f"labels taken to {kept[-1]:.3g} {unit} and back keep a Dice of {_mean(ladder[kept[-1]]):.4f}"
    if following is None:
        return Chosen(spacing, f"{found}; coarser grids were not measured")
    step, fault = f"{following:.3g} {unit}", _fault(ladder[following])
    if kept:
        return Chosen(spacing, f"{found}; at {step} they would keep {fault}")
    return Chosen(spacing, f"not coarser: labels taken to {step} and back would keep {fault}")


def mean_ceilings(fingerprint: Fingerprint, axes: Sequence[int], spacing: float) -> dict[str, float]:
    """Per class the Dice of the labels after the way to a grid of this spacing and back, as a mean over the cases.

    A spacing that was not measured, because a finer one already lost the labels of a case, counts as 0.
    """
    key = "".join("zyx"[-fingerprint.ndim :][axis] for axis in axes)
    dice: dict[str, list[float]] = {}
    for case in fingerprint.cases:
        for name, value in _of_case(case, key, min(reordered(case.spacing_mm, axes)), spacing).items():
            dice.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in dice.items()}


def _of_case(case: CaseFingerprint, key: str, finest: float, spacing: float) -> dict[str, float]:
    """The Dice of each class that the case shows."""
    measured = case.label_ceilings.get(key)
    names = measured.dice if measured else [name for name, found in case.classes.items() if found.voxels]
    if spacing <= finest:
        return dict.fromkeys(names, 1.0)
    if measured is None or spacing not in measured.spacing_mm:
        return dict.fromkeys(names, 0.0)
    index = measured.spacing_mm.index(spacing)
    return {name: values[index] for name, values in measured.dice.items()}


def _mean(ceilings: Mapping[str, float]) -> float:
    return sum(ceilings.values()) / len(ceilings)


def _fault(ceilings: Mapping[str, float]) -> str:
    """Why a spacing is too coarse; "" if it is not."""
    lowest = min(ceilings, key=lambda name: ceilings[name])
    if _mean(ceilings) < LEAST_CEILING:
        return f"a Dice of {_mean(ceilings):.4f}, below {LEAST_CEILING:g}"
    if ceilings[lowest] < LEAST_CLASS_CEILING:
        return f"a Dice of {ceilings[lowest]:.4f} in {lowest}, below {LEAST_CLASS_CEILING:g}"
    return ""
