"""DICOM series through SimpleITK's GDCM: their voxels and geometry (dicom_series.py finds them)."""

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geometry import Geometry, SpacingError, check_spacing, geometry_from_affine
from .dicom_elements import elements_fit
from .dicom_series import find_series, listing
from .limits import check_size
from .sitk import SitkImage, quiet, simpleitk

SPACING_TOLERANCE = 0.01  # relative: a slice may be this far from its even place

_log = logging.getLogger(__name__)
_POSITION, _ORIENTATION, _FRAMES = "0020|0032", "0020|0037", "0028|0008"
_SPACINGS = ("0028|0030", "0018|1164", "0018|2010", "3002|0011")  # PixelSpacing, ImagerPixelSpacing and their kin
_SAME_PLACE_MM = 1e-3
_LISTED = 10  # copies that a message names


def read(path: Path, as_labels: bool = False) -> tuple[np.ndarray, Geometry]:
    """As `read_series`, for a folder (with exactly one series) or a single file."""
    return read_series(_only_series(path))


def header(path: Path) -> tuple[int, Geometry]:
    """The number of channels and the geometry; reads the voxels, as every slice must be looked at."""
    array, geometry = read(path)
    return array.shape[0], geometry


def read_series(files: Sequence[Path]) -> tuple[np.ndarray, Geometry]:
    """The slices of one series, in any order -> (C, z, y, x) in LPS, rescaled as the tags say, and the geometry.

    A single slice is a 2D image (C, y, x). A tilted gantry gives a sheared geometry, which is kept.
    Raises InputError, naming the folder, for multi-frame files, slices of different size or orientation, several slices
    at one place, and slices that are missing or unevenly spaced by more than 1 %.
    """
    files = [Path(file) for file in files]
    case = files[0].parent if len(files) > 1 else files[0]
    for file in files:
        if not file.exists():
            raise FileNotFoundError(file)
    images, positions, orientations = _slices(files, case)
    spacing = images[0].GetSpacing()
    directions = orientations[0]  # (2, 3): along a row, along a column
    affine = np.eye(4)
    affine[:3, :2] = (directions * np.array(spacing[:2])[:, None]).T
    order = np.zeros(1, int)
    affine[:3, 2] = np.cross(*directions) * (spacing[2] or 1.0)
    if len(files) > 1:
        if not any(images[0].HasMetaDataKey(tag) for tag in _SPACINGS):
            _log.warning("%s: no pixel spacing in its files, taken as 1 mm.", case)
        _check_alike(images, orientations, files, case)
        _check_places(images, positions, [file.name for file in files], case)
        order = np.argsort(positions @ np.cross(*directions), kind="stable")
        affine[:3, 2] = _step(positions[order], [files[i].name for i in order], case)
    affine[:3, 3] = positions[order[0]]
    arrays = [simpleitk().GetArrayViewFromImage(images[i])[0] for i in order]
    stack = np.stack(arrays)  # (k, j, i[, component])
    geometry = geometry_from_affine(stack.shape[2::-1], affine)
    channels_last = stack.reshape(*stack.shape[:3], -1).transpose(2, 1, 0, 3)
    return np.moveaxis(geometry.from_file_axes(channels_last), -1, 0), geometry


def _only_series(path: Path) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(path)
    if path.is_file():
        return [path]
    found = find_series(path)
    if not found:
        raise InputError(path, "a DICOM series", "no DICOM file in this folder or below it", "Check the path.")
    if len(found) > 1:
        raise InputError(path, "one DICOM series", f"{len(found)}:\n{listing(found)}", "Name one of them.")
    if found[0].problem:
        raise found[0].problem
    return list(found[0].files)


def _slices(files: list[Path], case: Path) -> tuple[list[SitkImage], np.ndarray, np.ndarray]:
    """Every file's image, position (n, 3) and orientation (n, 2, 3). Raises InputError for multi-frame files."""
    sitk = simpleitk()
    images: list[SitkImage] = []
    positions, orientations = [], []
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    with quiet(sitk):
        for file in files:
            reader.SetFileName(str(file))
            try:
                if not elements_fit(file):
                    raise RuntimeError("an element is longer than the file")
                reader.ReadImageInformation()
                voxels = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
                check_size(file, voxels * sitk.GetArrayFromImage(sitk.Image(1, 1, reader.GetPixelID())).itemsize)
                image = reader.Execute()
            except RuntimeError:  # its text may hold values of tags
                found = f"that {file.name} cannot be read: it is damaged or truncated"
                raise InputError(case, "DICOM files", found, "Export it again.") from None
            if image.GetDimension() == 3 and image.GetDepth() > 1:
                raise InputError(
                    case,
                    "one slice per file",
                    f"a multi-frame file of {image.GetDepth()} frames ({file.name})",
                    "Convert it to single-frame DICOM or to .nii.gz, for example with dcm2niix.",
                )
            _check_pixel_spacing(image, file)
            placed = image.HasMetaDataKey(_POSITION) and image.HasMetaDataKey(_ORIENTATION)
            if not placed and len(files) > 1:
                raise InputError(
                    case,
                    "a position in every slice (tags 0020,0032 and 0020,0037)",
                    f"none in {file.name}",
                    "Export the series again, or convert the files to PNG and treat them as 2D images.",
                )
            images.append(image)
            positions.append(_numbers(image.GetMetaData(_POSITION), 3, file) if placed else np.zeros(3))
            orientation = _numbers(image.GetMetaData(_ORIENTATION), 6, file) if placed else np.eye(3)[:2].ravel()
            orientations.append(orientation.reshape(2, 3))
    return images, np.array(positions), np.array(orientations)


def _check_pixel_spacing(image: SitkImage, file: Path) -> None:
    """Raises SpacingError for a spacing that GDCM would replace by 1 mm without a word."""
    for tag in _SPACINGS:
        if image.HasMetaDataKey(tag) and (text := image.GetMetaData(tag).strip()):
            try:
                values = [float(part) for part in text.split("\\")]
            except ValueError:
                values = []
            if len(values) != 2:
                found = f"{len(values) or 'no'} numbers in tag {tag.replace('|', ',')} of {file.name}"
                raise SpacingError("", "a spacing of two numbers", found, "Export the series again.")
            check_spacing(values[::-1], f"tag {tag.replace('|', ',')} of {file.name}: spacing")
            return


def _numbers(text: str, count: int, file: Path) -> np.ndarray:
    values = np.array([float(part) for part in text.split("\\")])
    if values.size != count:
        raise InputError(file, f"{count} numbers for a slice's place", str(values.size), "Export the series again.")
    return values


def _check_alike(images: Sequence[SitkImage], orientations: np.ndarray, files: list[Path], case: Path) -> None:
    for image, orientation, file in zip(images, orientations, files, strict=True):
        found = f"{file.name} is {image.GetWidth()}x{image.GetHeight()}"
        if not np.allclose(image.GetSpacing()[:2], images[0].GetSpacing()[:2], rtol=SPACING_TOLERANCE):
            ours, theirs = (" x ".join(f"{mm:.4g}" for mm in each.GetSpacing()[:2]) for each in (image, images[0]))
            raise InputError(
                case,
                f"slices of one pixel spacing, such as {theirs} mm of {files[0].name}",
                f"{ours} mm of {file.name}",
                "Export the series again, or move the slices of another series out of the folder.",
            )
        if image.GetSize() != images[0].GetSize() or not np.allclose(orientation, orientations[0], atol=1e-3):
            first = f"{files[0].name} ({images[0].GetWidth()}x{images[0].GetHeight()})"
            raise InputError(
                case,
                f"slices of one size and orientation, such as {first}",
                f"that {found} or turned otherwise",
                "Remove the localisers from the folder.",
            )


def _check_places(images: Sequence[SitkImage], positions: np.ndarray, names: list[str], case: Path) -> None:
    """Raises InputError where several slices lie at one place: copies by name, or volumes that were taken in turn."""
    places: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index in sorted(range(len(names)), key=lambda index: (len(names[index]), names[index])):
        places[tuple(np.rint(positions[index] / _SAME_PLACE_MM).astype(int))].append(index)
    copies: list[tuple[str, str]] = []  # (copy, what it is a copy of)
    for first, *others in places.values():
        pixels = simpleitk().GetArrayViewFromImage(images[first])
        for other in others:
            if not np.array_equal(pixels, simpleitk().GetArrayViewFromImage(images[other])):
                found = f"several with other pixels ({names[first]}, {names[other]})"
                remedy = "The series holds several volumes (time points, echoes): export them as series of their own."
                raise InputError(case, "one slice at each place", found, remedy)
            copies.append((names[other], names[first]))
    if copies:
        listed = ", ".join(f"{copy} of {original}" for copy, original in sorted(copies)[:_LISTED])
        more = f" and {len(copies) - _LISTED} more" if len(copies) > _LISTED else ""
        removed = ", ".join(copy for copy, _ in sorted(copies)[:_LISTED])
        raise InputError(
            case,
            "each slice once",
            f"{len(copies)} files with the same pixels at the same place as others (copies: {listed}{more})"
            if len(copies) > 1
            else f"the same slice twice: {listed.replace(' of ', ' is a copy of ')}",
            f"Remove the copies: {removed}{more}.",
        )


def _step(positions: np.ndarray, names: list[str], case: Path) -> np.ndarray:
    """(3,): the way from slice to slice in mm. positions: (n, 3), in order.

    Raises InputError unless the slices are evenly spaced to 1 %.
    """
    steps = np.diff(positions, axis=0)
    distances = np.linalg.norm(steps, axis=1)
    usual = np.median(distances)
    usual_step = np.median(steps, axis=0)
    wrong = np.flatnonzero(np.linalg.norm(steps - usual_step, axis=1) > SPACING_TOLERANCE * usual)
    if wrong.size:
        first = int(wrong[np.argmax(distances[wrong])])
        gap = distances[first] / distances.min()
        problem = "slices are missing" if gap > 1.5 else "slices are unevenly spaced"
        between = f"{distances[first]:.4g} mm between {names[first]} and {names[first + 1]}"
        raise InputError(
            case,
            f"every slice {usual:.4g} mm after the one before it (tolerance 1 %)",
            f"{between}, so {problem}",
            "Export the whole series again, or resample it to even slices.",
        )
    return (positions[-1] - positions[0]) / (len(positions) - 1)
