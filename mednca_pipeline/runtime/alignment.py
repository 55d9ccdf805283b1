"""Whether the voxels of two files lie on each other: the one comparison of geometry, for every command.

A file without any orientation (NIfTI with sform_code and qform_code 0, Analyze, NRRD without space directions,
MetaImage without a matrix) does not say which way its axes run. It is taken voxel for voxel in the orientation of the
file that it is compared with, wherever the two meet.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .geometry import SPACING_TOLERANCE, Difference, Geometry, differences, text_of
from .spacing import unit_of

_WORLD = (("inferior", "superior"), ("anterior", "posterior"), ("right", "left"))  # of the LPS array axes z, y, x
_APART = 0.5  # voxels of the finest axis: sform and qform that lie closer say the same


@dataclass(frozen=True)
class Placed:
    """A file and how its voxels lie in space. called: its name in messages, if the file's own is not enough."""

    file: Path
    geometry: Geometry
    called: str = ""

    @property
    def name(self) -> str:
        return self.called or self.file.name


@dataclass(frozen=True)
class Mismatch:
    """A quantity in which two files differ, in the parts of a finding or an InputError.

    fatal: their voxels do not lie on each other, or nobody can say so; else they are taken one to one.
    """

    quantity: Literal["shape", "spacing", "origin", "direction", "orientation"]
    fatal: bool
    found: str
    expected: str
    remedy: str


def compare(found: Placed, reference: Placed, spacing_known: bool = True, otherwise: str = "") -> list[Mismatch]:
    """Where a file differs from its reference beyond the tolerances of runtime.geometry; [] where the voxels match.

    Another shape is fatal, and another spacing where `spacing_known`. Another origin or direction gives a warning, as
    in nnU-Net, if both files store their axes in the same order and direction, so that voxel still lies on voxel.
    Otherwise it is fatal: reading both in LPS would mirror or turn one against the other.

    otherwise: what to do where the voxels do not match one to one; "": resample the file.
    """
    found, reference = _told_apart(found, reference)
    otherwise = otherwise or f"Resample {found.name} onto the grid of {reference.name}, labels with nearest neighbour."
    if not (found.geometry.oriented and reference.geometry.oriented):
        return _without_orientation(found, reference, spacing_known, otherwise)
    alike = (found.geometry.axes, found.geometry.flips) == (reference.geometry.axes, reference.geometry.flips)
    forms = _forms_that_agree(found, reference)
    result = []
    for difference in differences(found.geometry, reference.geometry):
        placed = difference.quantity in ("origin", "direction")
        fatal = not alike if placed else difference.quantity == "shape" or spacing_known
        result.append(
            Mismatch(
                difference.quantity,
                fatal,
                f"{difference.quantity} {difference.found}{_unit(difference, found)}{forms}",
                _expected(difference, reference),
                _remedy(difference, found, reference, otherwise, forms),
            )
        )
    return result


def laid_on(array: np.ndarray, found: Geometry, reference: Geometry) -> np.ndarray | None:
    """The array (C, *spatial) of a file in the orientation of its reference, where one of the two has none.

    None where both have an orientation, or where the voxels cannot match one to one.
    """
    if (found.oriented and reference.oriented) or _sides(found) != _sides(reference):
        return None
    in_file = found.to_file_axes(np.moveaxis(array, 0, -1)).reshape(*reference.file_shape, -1)
    return np.moveaxis(reference.from_file_axes(in_file), -1, 0)


def header_doubts(geometry: Geometry) -> list[str]:
    """What a header leaves open about the orientation of its voxels, in sentences that name what is assumed."""
    if not geometry.oriented:
        ways = {axis: _WORLD[place][:: -1 if flip else 1] for axis, (place, flip) in _axes(geometry).items()}
        taken = ", ".join(" to ".join(ways[axis]) for axis in sorted(ways))
        return [f"{no_orientation(geometry)}: its axes are taken as running from {taken}"]
    apart = _apart(geometry)
    return [f"sform and qform up to {apart:.3g} mm apart: the sform is used"] if apart else []


def no_orientation(geometry: Geometry) -> str:
    """What a file without an orientation has."""
    return "no orientation (sform_code and qform_code are 0)" if geometry.nifti else "no orientation in its header"


def _axes(geometry: Geometry) -> dict[int, tuple[int, bool]]:
    """File axis -> (place among z, y, x, whether the file runs against it)."""
    first = 3 - geometry.ndim
    placed = enumerate(zip(geometry.axes, geometry.flips, strict=True), start=first)
    return {axis: (place, flip) for place, (axis, flip) in placed}


def _told_apart(found: Placed, reference: Placed) -> tuple[Placed, Placed]:
    """Files of one name, such as a prediction and its reference, are called with their folders."""
    if found.name != reference.name:
        return found, reference
    short = found.file.parent.name != reference.file.parent.name
    names = (f"{each.file.parent.name}/{each.file.name}" if short else str(each.file) for each in (found, reference))
    one, other = (Placed(each.file, each.geometry, name) for each, name in zip((found, reference), names, strict=True))
    return one, other


def _unit(difference: Difference, placed: Placed) -> str:
    unit = unit_of(placed.geometry) if difference.quantity == "spacing" else ""
    return f" mm (its header is in {unit})" if unit else ""


def _without_orientation(found: Placed, reference: Placed, spacing_known: bool, otherwise: str) -> list[Mismatch]:
    """Shape and spacing are compared in the order in which the files store them."""
    ours, theirs = _sides(found.geometry), _sides(reference.geometry)
    if ours != theirs:
        difference = Difference("shape", text_of(ours), text_of(theirs), "none")
        where = " in the order in which the voxels are stored"
        expected = f"{_expected(difference, reference)}{where}, as one of the files has no orientation"
        return [Mismatch("shape", True, f"shape {text_of(ours)}", expected, _export(found, reference))]
    result = []
    one, other = (placed.geometry.file_spacing_mm[: len(ours)] for placed in (found, reference))
    if not np.allclose(one, other, rtol=SPACING_TOLERANCE, atol=0):
        difference = Difference("spacing", text_of(one), text_of(other), "0.1 %")
        remedy, expected = _remedy(difference, found, reference, otherwise), _expected(difference, reference)
        result.append(
            Mismatch("spacing", spacing_known, f"spacing {text_of(one)}{_unit(difference, found)}", expected, remedy)
        )
    if found.geometry.oriented != reference.geometry.oriented:
        without, with_one = (reference, found) if found.geometry.oriented else (found, reference)
        result.append(
            Mismatch(
                "orientation",
                False,
                no_orientation(without.geometry) + ("" if without is found else f" of {without.name}"),
                f"the orientation of {with_one.name}",
                f"Nothing, if the voxels of {without.name} match those of {with_one.name} one to one, as is assumed: "
                f"they are taken in its orientation. To make sure, copy the header of {with_one.name}.",
            )
        )
    return result


def _sides(geometry: Geometry) -> tuple[int, ...]:
    """Voxels per file axis; a third axis of one voxel does not count."""
    sides = geometry.file_shape
    return sides[:2] if len(sides) == 3 and sides[2] == 1 else sides


def _expected(difference: Difference, reference: Placed) -> str:
    tolerance = "" if difference.tolerance == "none" else f" (tolerance {difference.tolerance})"
    return f"{difference.quantity} {difference.expected}{_unit(difference, reference)} of {reference.name}{tolerance}"


def _remedy(difference: Difference, found: Placed, reference: Placed, otherwise: str, forms: str = "") -> str:
    copy = f"opy the header of {reference.name} to {found.name}"
    if forms:
        return f"C{copy}: their voxels match one to one, and resampling would ruin them."
    if difference.quantity == "shape":
        return otherwise
    return f"If their voxels match one to one, c{copy}; if not, {otherwise[:1].lower()}{otherwise[1:]}"


def _export(found: Placed, reference: Placed) -> str:
    return f"Export {found.name} again with its orientation, on the grid of {reference.name}."


def _forms_that_agree(found: Placed, reference: Placed) -> str:
    """Where the sforms of two files differ and another of their forms agrees: which, and how far apart they are."""
    ours, theirs = (_both_forms(placed.geometry) if _apart(placed.geometry) else None for placed in (found, reference))
    if ours and not differences(ours[1], reference.geometry):
        return f" by its sform, which is used; its qform, up to {_apart(found.geometry):.3g} mm away, agrees"
    if theirs and not differences(found.geometry, theirs[1]):
        apart = _apart(reference.geometry)
        return f", as the qform of {reference.name}, up to {apart:.3g} mm away from its sform, which is used"
    if ours and theirs and not differences(ours[1], theirs[1]):
        return (
            f" by its sform, which is used; its qform, up to {_apart(found.geometry):.3g} mm away, agrees with theirs"
        )
    return ""


def _apart(geometry: Geometry) -> float:
    """How far sform and qform of a file lie apart at most, in mm; 0 where they agree."""
    forms = _both_forms(geometry)
    if forms is None:
        return 0.0
    distance = float(np.linalg.norm(forms[0].corners - forms[1].corners, axis=1).max())
    return distance if distance > _APART * min(geometry.spacing_mm) else 0.0


def _both_forms(geometry: Geometry) -> tuple[Geometry, Geometry] | None:
    """As nifti.both_forms, whose library is slow to import: pictures do without."""
    if not geometry.nifti:
        return None
    from .formats.nifti import both_forms

    return both_forms(geometry)
