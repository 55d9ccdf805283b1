"""Whether networks see where in the image a voxel lies."""

import numpy as np

from mednca_pipeline.fingerprint.fingerprint import Fingerprint

from .rule import Chosen

STEADY = 0.1  # of a side: by how much (SD over the cases) the centre of a class that keeps its place may vary
FEWEST_CASES = 5  # that say how much a place varies


def sees_position(fingerprint: Fingerprint) -> Chosen:
    """True if a class keeps its place in the images: what looks alike elsewhere is not it (docs/explanation/recipe.md).

    The class whose centre varies least decides: others may lie anywhere.
    """
    variations = {}  # class -> its largest over the axes, as a share of the image's side
    for name in fingerprint.labels.names:
        centres = [case.classes[name].centre for case in fingerprint.cases if case.classes[name].centre]
        if len(centres) >= FEWEST_CASES:
            variations[name] = float(np.std(centres, axis=0).max()) / 2  # centres are in half sides
    if not variations:
        return Chosen(False, f"no class is shown by {FEWEST_CASES} cases, which could say whether it keeps its place")
    name = min(variations, key=variations.get)
    share = f"the centre of {name} varies by {variations[name]:.1%} of the image's side (SD over the cases"
    if variations[name] <= STEADY:
        return Chosen(True, f"{share}; up to {STEADY:.0%} its place helps to find it)")
    return Chosen(False, f"{share}; above {STEADY:.0%} a place says little)")
