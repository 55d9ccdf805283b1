"""An input that differs from what training saw: warnings, and the refusal of a spacing that cannot be meant."""

from collections.abc import Sequence

import numpy as np

from ..plans.plans import Plans
from ..runtime.cropping import Crop
from ..runtime.errors import InputError
from ..runtime.spacing import TIMES, describe, describe_ranges, far_off, remedy
from ..runtime.units import distance_unit

TOLERANCE = 1e-3  # relative; headers store spacings as float32


def check_spacing_range(spacing_mm: Sequence[float], plans: Plans, unit: str = "") -> None:
    """Raises InputError for a spacing at least 20 times below or above all that training saw.

    spacing_mm: per array axis, as many as training's. unit: of the header, if it is not mm.
    """
    seen = plans.training_range.spacing_mm
    axes = far_off(spacing_mm, seen)
    if axes:
        expected = f"{describe_ranges(seen, axes)}, as {plans.dataset} was trained on (less than {TIMES:g} times off)"
        raise InputError("", expected, describe(spacing_mm, axes, unit), remedy(unit))


def range_warnings(image: np.ndarray, spacing_mm: tuple[float, ...], plans: Plans) -> list[str]:
    """Sentences on spacing, extent and intensity outside training's 0.5 to 99.5 percentiles; empty when all is inside.

    image: (C, z, y, x) or (C, y, x), raw intensities. Axes are named as in the array; extents are in pixels or voxels
    where the dataset's spacing is not known. Intensity is the channel's mean over the image cropped to non-zero.
    """
    seen, shape = plans.training_range, image.shape[1:]
    axes = "zyx"[-len(shape) :]
    unit = distance_unit(plans.spacing_known, plans.dimensions)
    scale = spacing_mm if plans.spacing_known else (1.0,) * len(shape)
    checks = []
    if plans.spacing_known:
        checks += [(f"spacing {axis}", s, r, " mm") for axis, s, r in zip(axes, scale, seen.spacing_mm, strict=True)]
    extents = [size * step for size, step in zip(shape, scale, strict=True)]
    checks += [(f"extent {axis}", e, r, f" {unit}") for axis, e, r in zip(axes, extents, seen.extent_mm, strict=True)]
    means = [float(channel.mean(dtype=np.float64)) for channel in Crop.to_nonzero(image).forward(image)]
    channels = [f"mean intensity of {name}" for name in plans.channel_names]
    checks += [(name, mean, r, "") for name, mean, r in zip(channels, means, seen.intensity, strict=True)]
    return [
        f"{name} {value:.4g}{unit} outside training's {low:.4g} to {high:.4g}"
        for name, value, (low, high), unit in checks
        if not low - TOLERANCE * abs(low) <= value <= high + TOLERANCE * abs(high)
    ]
