"""How many connected components of a class prediction keeps: what training labels show nearly always."""

from collections import Counter

from ..fingerprint.fingerprint import Fingerprint
from ..plans.plans import describe_components
from .rule import Chosen

STEADY_SHARE = 0.9  # of the training labels that must have the same number; the others have stray voxels
MOST_COMPONENTS = 2  # organs are single or paired
FEWEST_LABELS = 5  # that say anything about all others
_NAMED = 3  # most classes that a reason names

Counts = dict[str, tuple[int, int]]  # class -> its usual number of components, and how many labels have that many


def steady_components(fingerprint: Fingerprint) -> Chosen[dict[str, int]]:
    """{class: n} of the classes of which nearly every training label has n components; the others are left alone.

    A label without the class counts as one with 0 components: what is sometimes absent may also be there twice.
    """
    total = len(fingerprint.cases)
    if fingerprint.labels.ignore is not None:
        return Chosen({}, "parts of the images are not labelled and may hold more components")
    if total < FEWEST_LABELS:
        return Chosen({}, f"{total} training labels are too few to say; {FEWEST_LABELS} are needed")
    steady: Counts = {}
    other: Counts = {}
    for name in fingerprint.labels.names:
        counts = Counter(case.classes[name].components for case in fingerprint.cases)
        usual, labels = min(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        keeps = 1 <= usual <= MOST_COMPONENTS and labels >= STEADY_SHARE * total
        (steady if keeps else other)[name] = (usual, labels)
    reasons = []
    if steady:
        reasons.append(f"{_counts(steady, total)}: from {STEADY_SHARE:.0%} on prediction keeps that many")
    if other:
        agreed = " or ".join(map(str, range(1, MOST_COMPONENTS + 1)))
        reasons.append(f"{_counts(other, total)}: where fewer than {STEADY_SHARE:.0%} agree on {agreed}, all are kept")
    return Chosen({name: usual for name, (usual, _) in steady.items()}, "; ".join(reasons))


def components_decision(components: dict[str, int]) -> str:
    """What the planner's table says."""
    return describe_components(components) or "any number"


def _counts(found: Counts, total: int) -> str:
    """ "200 of 200 training labels have 1 component of Anterior"; of many classes those with the fewest such labels."""
    fewest = sorted(found, key=lambda name: found[name][1])[:_NAMED]
    counts = [f"{found[name][1]} of {total} have {describe_components({name: found[name][0]})}" for name in fewest]
    left = len(found) - len(fewest)
    return ", ".join(counts).replace("have", "training labels have", 1) + (
        f", and {left} more classes at least as often" if left else ""
    )
