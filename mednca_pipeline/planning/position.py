"""Whether networks see the position of their voxels in the image."""

import numpy as np

from ..fingerprint.fingerprint import Fingerprint
from .rule import Chosen

STEADY = 0.1  # a class keeps its place if its centre varies by at most this share of a side (SD over the cases)
FEWEST_CASES, LEAST_SHARE = 5, 0.25  # how many cases, and which share of all, must show a class to say how it varies


def sees_position(fingerprint: Fingerprint) -> Chosen[bool]:
    """True if a class keeps its place in the images, so that a voxel elsewhere that looks alike does not belong to it.

    The class whose centre varies least decides; the others may lie anywhere. Centres are measured as networks see them:
    from the centre of the image, in sides of the median image. Why: docs/explanation/recipe-notebook.md.
    """
    sides_mm = np.array([np.multiply(case.cropped_shape, case.spacing_mm) for case in fingerprint.cases])
    relative = sides_mm / np.median(sides_mm, axis=0)  # (N, axes)
    enough = max(FEWEST_CASES, LEAST_SHARE * len(fingerprint.cases))
    variations: dict[str, float] = {}  # class -> the largest variation over the axes
    for name in fingerprint.labels.names:
        centres = [
            np.multiply(case.classes[name].centre, side) / 2
            for case, side in zip(fingerprint.cases, relative, strict=True)
            if case.classes[name].centre
        ]
        if len(centres) >= enough:
            variations[name] = float(np.std(centres, axis=0).max())
    if not variations:
        because = f"no class is shown by {FEWEST_CASES} cases and by {LEAST_SHARE:.0%} of all, too few to say"
        return Chosen(False, because)
    name = min(variations, key=lambda name: variations[name])
    share = f"the centre of {name} varies by {variations[name]:.1%} of the median image's side (SD over the cases"
    if variations[name] <= STEADY:
        return Chosen(True, f"{share}; up to {STEADY:.0%} the place helps to find the class)")
    return Chosen(False, f"{share}; above {STEADY:.0%} the place says little)")
