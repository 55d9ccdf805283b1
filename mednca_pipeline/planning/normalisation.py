"""Normalisation of intensities per channel."""

from ..datasets.channels import is_colour
from ..fingerprint.fingerprint import Fingerprint, IntensityStatistics
from ..runtime.normalisation import Scheme
from .rule import Chosen

# nnU-Net's names, compared in lower case
SCHEMES: dict[str, Scheme] = {"ct": "ct", "nonorm": "none", "rgb_to_0_1": "rgb"}
RESCALED = "rescale_to_0_1"  # also nnU-Net's: each image is scaled by its own minimum and maximum
OUTLIER_RATIO = 3.0  # how far an outlier lies beyond its percentile, in widths of the 0.5 to 99.5 percentile range
OUTLIER_SHARE = 0.1  # images are clipped if this share of the cases has outliers
_REASONS: dict[Scheme, str] = {
    "ct": "CT is clipped and scaled by the statistics of the whole dataset's foreground",
    "rgb": "colours are scaled from 0..255 to -1..1",
    "none": "noNorm leaves intensities alone",
    "zscore": "the unit is arbitrary, so each image is scaled to mean 0 and standard deviation 1",
}


def schemes(fingerprint: Fingerprint) -> Chosen[tuple[Scheme, ...]]:
    """The scheme of each channel, which follows from the channel's name as in nnU-Net.

    "rgb" is for colours of 8 bits: where the brightest voxel of all images is above 255, or not above 1, the scheme is
    "zscore".
    """
    names = [name.strip().lower() for name in fingerprint.channel_names]
    colour = is_colour(names)
    wanted: list[Scheme] = ["rgb" if colour else SCHEMES.get(name, "zscore") for name in names]
    colours = [index for index, scheme in enumerate(wanted) if scheme == "rgb"]
    brightest = max((case.image[index].maximum for case in fingerprint.cases for index in colours), default=0)
    chosen: list[Scheme] = []
    named: dict[str, list[str]] = {}
    for given, name, scheme in zip(fingerprint.channel_names, names, wanted, strict=True):
        because = _REASONS[scheme]
        if scheme == "rgb" and not 1 < brightest <= 255:
            scheme = "zscore"
            because = (
                f"8-bit colours lie in 0..255 but these reach {brightest:g}, so each image is scaled to mean 0 and "
                "standard deviation 1"
            )
        elif name == RESCALED:
            because = "each image is z-scored instead of scaled to 0..1, which one extreme voxel can upset"
        chosen.append(scheme)
        named.setdefault(because, []).append(given)
    return Chosen(tuple(chosen), "; ".join(f"{', '.join(names)}: {because}" for because, names in named.items()))


def has_outliers(channel: IntensityStatistics) -> bool:
    """Whether extreme values of an image lie far outside its percentiles."""
    width = channel.percentile_99_5 - channel.percentile_00_5
    beyond = max(channel.maximum - channel.percentile_99_5, channel.percentile_00_5 - channel.minimum)
    return beyond > OUTLIER_RATIO * width


def clipping(fingerprint: Fingerprint) -> Chosen[bool]:
    """Whether z-scored images are first clipped to their own 0.5 and 99.5 percentiles."""
    found = sum(any(has_outliers(channel) for channel in case.image) for case in fingerprint.cases)
    total = len(fingerprint.cases)
    return Chosen(
        found >= OUTLIER_SHARE * total and found > 0,
        f"{found} of {total} images have values that lie beyond the range of their 0.5 to 99.5 percentiles by more "
        f"than {OUTLIER_RATIO:g} times its width; images are clipped if at least {OUTLIER_SHARE:.0%} have such values",
    )


def ct_statistics(fingerprint: Fingerprint) -> tuple[tuple[float, float, float, float], ...]:
    """Per channel (mean, sd, 0.5 percentile, 99.5 percentile) of the dataset's foreground voxels."""
    return tuple(
        (channel.mean, channel.sd, channel.percentile_00_5, channel.percentile_99_5)
        for channel in fingerprint.foreground
    )
