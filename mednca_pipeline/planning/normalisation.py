"""Normalisation of intensities per channel."""

from collections.abc import Sequence

from mednca_pipeline.fingerprint.fingerprint import Fingerprint, IntensityStatistics

from .rule import Chosen

SCHEMES = {"ct": "ct", "nonorm": "none", "rgb_to_0_1": "rgb"}  # nnU-Net's names, compared in lower case
RGB_NAMES = {"r", "g", "b", "red", "green", "blue"}
OUTLIER_RATIO = 3.0  # how far an extreme lies beyond its percentile, in widths of the 0.5 to 99.5 percentile range
OUTLIER_SHARE = 0.1  # of the cases


def schemes(channel_names: Sequence[str]) -> Chosen:
    """Per channel "zscore", "ct", "rgb" or "none", from what the channel is called, as nnU-Net does."""
    names = [name.strip().lower() for name in channel_names]
    colour = len(names) == 3 and set(names) <= RGB_NAMES
    chosen = tuple("rgb" if colour else SCHEMES.get(name, "zscore") for name in names)
    known = {
        "ct": "CT is clipped and scaled by the statistics of the whole dataset's foreground",
        "rgb": "colours are scaled from 0..255 to -1..1",
        "none": "noNorm leaves intensities alone",
        "zscore": "its unit is arbitrary, so each image has mean 0 and standard deviation 1",
    }
    named: dict[str, list[str]] = {}
    for name, scheme in zip(channel_names, chosen, strict=True):
        named.setdefault(scheme, []).append(name)
    return Chosen(chosen, "; ".join(f"{', '.join(names)}: {known[scheme]}" for scheme, names in named.items()))


def has_outliers(channel: IntensityStatistics) -> bool:
    """Whether the extreme values of an image lie far outside of its percentiles."""
    width = channel.percentile_99_5 - channel.percentile_00_5
    beyond = max(channel.maximum - channel.percentile_99_5, channel.percentile_00_5 - channel.minimum)
    return beyond > OUTLIER_RATIO * width


def clipping(fingerprint: Fingerprint) -> Chosen:
    """Whether z-scored images are first clipped to their own 0.5 and 99.5 percentiles."""
    found = sum(any(has_outliers(channel) for channel in case.image) for case in fingerprint.cases)
    total = len(fingerprint.cases)
    return Chosen(
        found >= OUTLIER_SHARE * total and found > 0,
        f"{found} of {total} images have values more than {OUTLIER_RATIO:g} times the range of their 0.5 to 99.5 "
        f"percentiles beyond it (clipped from {OUTLIER_SHARE:.0%} of the images on)",
    )


def ct_statistics(fingerprint: Fingerprint) -> tuple[tuple[float, float, float, float], ...]:
    """Per channel (mean, sd, 0.5 percentile, 99.5 percentile) of the dataset's foreground voxels."""
    return tuple(
        (channel.mean, channel.sd, channel.percentile_00_5, channel.percentile_99_5)
        for channel in fingerprint.foreground
    )
