"""Spacings that are read but cannot be meant: far from the others, or of a size that no patient has."""

from collections.abc import Sequence

from .geometry import Geometry

TIMES = 20.0  # a spacing that is so many times off is taken for a wrong unit or header
LARGEST_MM = 100.0  # of a spacing in mm
_UNITS = {1: "metres", 3: "micrometres"}  # of NIfTI's xyzt_units

Ranges = Sequence[tuple[float, float]]  # (low, high) per array axis


def far_off(spacing_mm: Sequence[float], ranges: Ranges) -> tuple[int, ...]:
    """The axes whose spacing is at least TIMES below or above the range."""
    pairs = enumerate(zip(spacing_mm, ranges, strict=True))
    least = TIMES * (1 - 1e-6)  # headers store float32
    return tuple(axis for axis, (value, (low, high)) in pairs if value >= least * high or value * least <= low)


def describe(spacing_mm: Sequence[float], axes: Sequence[int], unit: str = "") -> str:
    """ "spacing z 1000 mm, y 1000 mm" of these axes. unit: of the header, if it is not mm."""
    names = "zyx"[-len(spacing_mm) :]
    text = "spacing " + ", ".join(f"{names[axis]} {spacing_mm[axis]:.4g} mm" for axis in axes)
    return f"{text}, as the header is in {unit}" if unit else text


def describe_ranges(ranges: Ranges, axes: Sequence[int]) -> str:
    """ "z 0.9 to 1.1 mm, y 0.5 mm" of these axes."""
    names = "zyx"[-len(ranges) :]
    texts = (
        f"{ranges[axis][0]:.4g}" + (f" to {ranges[axis][1]:.4g}" if ranges[axis][1] > ranges[axis][0] else "")
        for axis in axes
    )
    return ", ".join(f"{names[axis]} {text} mm" for axis, text in zip(axes, texts, strict=True))


def remedy(unit: str = "") -> str:
    """What to do about such a spacing. unit: as in `describe`."""
    if unit:
        return (
            f"If the header's numbers are mm and not {unit}, correct its unit (NIfTI: xyzt_units 2); else correct the "
            "spacing, or leave this case out."
        )
    return "Correct the spacing in the header (NIfTI: pixdim and srow), or leave this case out."


def unit_of(geometry: Geometry) -> str:
    """The unit of a NIfTI header if it is not mm, else ""."""
    return _UNITS.get(int(geometry.nifti.get("xyzt_units", (0,))[0]) & 7, "")
