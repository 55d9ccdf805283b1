"""Fingerprints made by hand for the planner's tests."""

from mednca_pipeline.fingerprint.fingerprint import (
    CaseFingerprint,
    ClassStatistics,
    Fingerprint,
    IntensityStatistics,
)
from mednca_runtime.labels import Labels

PLAIN = IntensityStatistics(100.0, 20.0, 100.0, 40.0, 160.0, 0.0, 200.0)


def make_case(name, shape, extents, spacing=None, channel=PLAIN, n_channels=1, sha=None):
    """extents: per class, () for an absent one."""
    classes = {
        label: ClassStatistics(max(1, 10 * len(extent)) if extent else 0, tuple(extent), int(bool(extent)))
        for label, extent in extents.items()
    }
    image = (channel,) * n_channels
    spacing = spacing or (1.0,) * len(shape)
    return CaseFingerprint(name, tuple(shape), tuple(shape), tuple(spacing), image, image, classes, sha or name)


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
