"""Whether networks see where in the image a voxel lies."""

import numpy as np

from ..fingerprint.fingerprint import Fingerprint
from .rule import Chosen

STEADY = 0.1  # of a side: by how much (SD over the cases) the centre of a class that keeps its place may vary
FEWEST_CASES = 5  # that must show a class to say how much its place varies,
LEAST_SHARE = 0.25  # and the share of all cases


def sees_position(fingerprint: Fingerprint) -> Chosen:
    """True if a class keeps its place in the images: what looks alike elsewhere is not it.

    Why: docs/explanation/recipe-notebook.md. The class whose centre varies least decides: others may lie anywhere.
    Centres are measured as networks see them: from the centre of the image, in sides of the median image.
    """
    sides_mm = np.array([np.multiply(case.cropped_shape, case.spacing_mm) for case in fingerprint.cases])
    relative = sides_mm / np.median(sides_mm, axis=0)  # (N, axes)
    enough = max(FEWEST_CASES, LEAST_SHARE * len(fingerprint.cases))
    variations = {}  # class -> its largest over the axes
    for name in fingerprint.labels.names:
        centres = [
            np.multiply(case.classes[name].centre, side) / 2
            for case, side in zip(fingerprint.cases, relative, strict=True)
            if case.classes[name].centre
        ]
        if len(centres) >= enough:
            variations[name] = float(np.std(centres, axis=0).max())
    if not variations:
        return Chosen(
            False, f"no class is shown by {FEWEST_CASES} cases and by {LEAST_SHARE:.0%} of all: too few to say"
        )
    name = min(variations, key=variations.get)
    share = f"the centre of {name} varies by {variations[name]:.1%} of the median image's side (SD over the cases"
    if variations[name] <= STEADY:
        return Chosen(True, f"{share}; up to {STEADY:.0%} its place helps to find it)")
    return Chosen(False, f"{share}; above {STEADY:.0%} a place says little)")
