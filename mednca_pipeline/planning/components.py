"""How many connected components of a class prediction keeps: what training labels show nearly always."""

from collections import Counter

from ..fingerprint.fingerprint import Fingerprint
from ..plans.plans import describe_components
from .rule import Chosen

# The share of the training labels showing a class that must have the same number of components, and the fewest labels
# that say anything. An organ is in every label. A class that some labels lack may be a finding. Findings sometimes come
# in twos, so such a class needs more evidence.
STEADY_SHARE, FEWEST_LABELS = 0.9, 5
FINDING_SHARE, FEWEST_FINDINGS = 0.95, 20
MOST_COMPONENTS = 2  # organs are single or paired
_NAMED = 3  # most classes that a reason names


Counts = dict[str, tuple[int, int, int]]  # class -> its usual number of components, labels that have it, labels shown


def steady_components(fingerprint: Fingerprint) -> Chosen[dict[str, int]]:
    """{class: n} for each class that has n components in nearly every training label that shows it."""
    total = len(fingerprint.cases)
    if fingerprint.labels.ignore is not None:
        return Chosen({}, "parts of the images are not labelled and may hold more components")
    if total < FEWEST_LABELS:
        return Chosen({}, f"{total} training labels are too few to say; {FEWEST_LABELS} are needed")
    steady: Counts = {}
    other: Counts = {}
    for name in fingerprint.labels.names:
        counts = Counter(case.classes[name].components for case in fingerprint.cases)
        absent = counts.pop(0, 0)
        usual, labels = min(counts.items(), key=lambda pair: (-pair[1], pair[0]), default=(0, total))
        shown = total - absent if counts else total
        share, fewest = (FINDING_SHARE, FEWEST_FINDINGS) if absent else (STEADY_SHARE, FEWEST_LABELS)
        keeps = 1 <= usual <= MOST_COMPONENTS and shown >= fewest and labels >= share * shown
        (steady if keeps else other)[name] = (usual, labels, shown)
    reasons = []
    if steady:
        reasons.append(f"{_counts(steady)}: prediction keeps that many")
    if other:
        agreed = " or ".join(map(str, range(1, MOST_COMPONENTS + 1)))
        reasons.append(
            f"{_counts(other)}: all are kept unless {STEADY_SHARE:.0%} agree on {agreed} ({FINDING_SHARE:.0%} of at "
            f"least {FEWEST_FINDINGS} for a class that some labels lack)"
        )
    return Chosen({name: usual for name, (usual, _, _) in steady.items()}, "; ".join(reasons))


def components_decision(components: dict[str, int]) -> str:
    """What the planner's table says."""
    return describe_components(components) or "any number"


def _counts(found: Counts) -> str:
    """ "200 of 200 labels of Anterior have 1 component". Names at most three classes, those with least agreement."""
    fewest = sorted(found, key=lambda name: found[name][1] / found[name][2])[:_NAMED]
    counts = [
        f"{labels} of {shown} labels of {name} have {usual} component{'s' * (usual != 1)}"
        for name, (usual, labels, shown) in ((name, found[name]) for name in fewest)
    ]
    left = len(found) - len(fewest)
    return ", ".join(counts) + (f", and {left} more classes at least as often" if left else "")
