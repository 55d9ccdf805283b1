"""Fingerprints made by hand for the planner's tests."""

from mednca_pipeline.fingerprint.fingerprint import (
    CaseFingerprint,
    ClassStatistics,
    Fingerprint,
    IntensityStatistics,
    LabelCeilings,
)
from mednca_pipeline.runtime.labels import Labels

PLAIN = IntensityStatistics(100.0, 20.0, 100.0, 40.0, 160.0, 0.0, 200.0)


def make_case(name, shape, extents, spacing=None, channel=PLAIN, n_channels=1, sha=None, ceilings=None, jumps=None):
    """extents: per class, () for an absent one. jumps: of the labels, and their changes, per axis.

    ceilings: per set of axes {spacing: {class: Dice}}; without them the labels are lost at any coarser spacing.
    """
    classes = {
        label: ClassStatistics(max(1, 10 * len(extent)) if extent else 0, tuple(extent), int(bool(extent)))
        for label, extent in extents.items()
    }
    image = (channel,) * n_channels
    spacing = spacing or (1.0,) * len(shape)
    measured = {axes: made_ceilings(found) for axes, found in (ceilings or {}).items()}
    shapes, spacing = (tuple(shape), tuple(shape)), tuple(spacing)
    jumps = jumps or ((0,) * len(shape),) * 2
    return CaseFingerprint(name, *shapes, spacing, image, image, classes, measured, *jumps, sha or name)


def made_ceilings(found):
    names = next(iter(found.values()))
    return LabelCeilings(tuple(found), {name: tuple(dice[name] for dice in found.values()) for name in names})


def make_fingerprint(cases, channel_names=("MRI",), spacing_known=True):
    names = tuple(cases[0].classes)
    labels = Labels(names, tuple((index + 1,) for index in range(len(names))))
    image = (PLAIN,) * len(channel_names)
    return Fingerprint("Dataset900_Made", channel_names, labels, ".nii.gz", spacing_known, image, tuple(cases), "raw")


def alike(shape, extents, n=10, **facts):
    """A dataset of n cases that look the same."""
    names = facts.pop("channel_names", ("MRI",))
    known = facts.pop("spacing_known", True)
    cases = [make_case(f"case_{i}", shape, extents, n_channels=len(names), **facts) for i in range(n)]
    return make_fingerprint(cases, names, known)


def hippocampus(n=10):
    return alike((36, 55, 38), {"anterior": (12, 14, 19), "posterior": (16, 19, 16)}, n)
