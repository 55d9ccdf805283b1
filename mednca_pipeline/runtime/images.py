"""Reading images and labels into LPS arrays, and writing labels and maps back into the frame of their file.

Arrays are (C, z, y, x) or (C, y, x); spacing is in that order. Everything about a file format is in `formats`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from . import formats
from .alignment import Placed, compare, laid_on
from .errors import InputError
from .formats import SUPPORTED, output_ending, split_ending, stored_files, volume_ending
from .geometry import Geometry

__all__ = [
    "SUPPORTED",
    "Header",
    "Image",
    "output_ending",
    "read_header",
    "read_image",
    "read_labels",
    "split_ending",
    "stored_files",
    "to_grey",
    "volume_ending",
    "write_labels",
    "write_volume",
]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)
DAMAGED = "Copy or export it again, or leave this case out."
_WHOLE = 1e-4  # a stored label may be this far from a whole number
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Image:
    """An image (C, z, y, x) or (C, y, x) in LPS, its spacing per spatial axis, and the way back to its file's frame."""

    array: np.ndarray
    spacing_mm: tuple[float, ...]
    geometry: Geometry

    def on(self, reference: Geometry) -> "Image":
        """The same voxels in the orientation of `reference`, where one of the two has none; else unchanged."""
        array = laid_on(self.array, self.geometry, reference)
        if array is None:
            return self
        return Image(np.ascontiguousarray(array), reference.spacing_mm, reference)


@dataclass(frozen=True)
class Header:
    """What a file says about its voxels, without them: `channels`, and the geometry in array axes and LPS."""

    channels: int
    geometry: Geometry

    @property
    def shape(self) -> tuple[int, ...]:
        return self.geometry.shape

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        return self.geometry.spacing_mm


def read_image(paths: Path | str | Sequence[Path | str], stored: bool = False) -> Image:
    """Reads one image as float32, channels first.

    paths: a file; several files of one shape, whose channels are stacked in order; or a DICOM series as its folder or
        the list of its files. A 4D file and an RGB file give several channels; an alpha channel is dropped.
    stored: gives the values as the file stores them, as for labels, and not as a viewer shows them: a picture whose
        zero is white is not inverted, and a palette is not looked up.
    Raises InputError naming the file when it is missing, unreadable, truncated, or of a format that is not supported.
    """
    first, *others = _sources(paths)
    array, geometry = _read(first, stored)
    arrays = [np.require(array, np.float32, ["C", "W"])]
    for source in others:
        array, found = _read(source, stored)
        _check_channel(Placed(_name(source), found), Placed(_name(first), geometry))
        laid = laid_on(array, found, geometry)
        arrays.append(np.require(array if laid is None else laid, np.float32, ["C", "W"]))
    return Image(arrays[0] if len(arrays) == 1 else np.concatenate(arrays), geometry.spacing_mm, geometry)


def read_labels(path: Path | str, on: Geometry | None = None) -> Image:
    """Reads a label file as integers (1, z, y, x) or (1, y, x): int16, or int32 where the values need it.

    on: the geometry of the image that the labels belong to, which a file without an orientation takes over.
    Raises InputError as `read_image` does, and for labels that are not whole numbers, naming the values.
    """
    path = Path(path)
    array, geometry = _read(path, True)
    if array.shape[0] != 1:
        raise InputError(path, "labels of one channel", str(array.shape[0]), "Store one label per voxel.")
    labels = Image(_integers(array, path), geometry.spacing_mm, geometry)
    return labels if on is None else labels.on(on)


def read_header(paths: Path | str | Sequence[Path | str]) -> Header:
    """As `read_image`, but without the voxels where the format allows it. The geometry is that of the first file."""
    headers = [_named(source, formats.header, source) for source in _sources(paths)]
    return Header(sum(channels for channels, _ in headers), headers[0][1])


def to_grey(array: np.ndarray) -> np.ndarray:
    """(1 or 3, y, x) -> (1, y, x): one of equal channels, and the rounded luma of colours."""
    if (array == array[:1]).all():
        return array[:1]
    return np.rint(np.tensordot(_LUMA, array, axes=1))[None]


def write_labels(path: Path | str, labels: np.ndarray, geometry: Geometry) -> None:
    """Writes integer labels (z, y, x) or (y, x) in the frame of `geometry`, as uint8, or uint16 above 255.

    Raises InputError when the file's format cannot hold them, and ValueError for an array that has another shape or no
    label values.
    """
    labels = np.asarray(labels)
    if labels.dtype != bool and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"Labels must be integers, found {labels.dtype}.")
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > 65535:
        raise ValueError(f"Labels must lie in 0..65535, found {low}..{high}.")
    _write(Path(path), labels.astype(np.uint8 if high <= 255 else np.uint16), geometry)


def write_volume(path: Path | str, array: np.ndarray, geometry: Geometry) -> None:
    """Writes a map (z, y, x) or (y, x), such as a probability or a variance, as float32 in the frame of `geometry`.

    `volume_ending` names the file ending to use. Raises InputError for a format that holds no floats.
    """
    _write(Path(path), np.asarray(array, dtype=np.float32), geometry)


def _write(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    if array.shape != geometry.shape:
        raise ValueError(f"{path}: the array has shape {array.shape}, the geometry {geometry.shape}.")
    formats.writer(path)(path, geometry.to_file_axes(array), geometry)


def _sources(paths: Path | str | Sequence[Path | str]) -> list[Path | list[Path]]:
    """What to read one after the other: files, a folder, or a DICOM series as the list of its files."""
    if isinstance(paths, (str, Path)):
        return [Path(paths)]
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("", "the files of an image", "none")
    return [files] if formats.is_series(files) else list(files)


def _read(source: Path | list[Path], as_labels: bool) -> tuple[np.ndarray, Geometry]:
    return _named(source, formats.read, source, as_labels)


def _name(source: Path | list[Path]) -> Path:
    """What messages call it: the file, or the folder of a series."""
    return source[0].parent if isinstance(source, list) else source


def _named(
    source: Path | list[Path],
    function: Callable[Arguments, Result],
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> Result:
    """Calls a reader. Whatever it stumbles over becomes an InputError with the file's name."""
    name = _name(source)
    try:
        return function(*arguments, **options)
    except InputError as error:
        if error.where.startswith(str(name)):
            raise
        raise error.at(name) from error
    except MemoryError:
        raise
    except FileNotFoundError as error:
        raise InputError(name, "an image", "no such file", "Check the path and the spelling.") from error
    except Exception as error:
        found = f"a damaged or truncated file ({_last_line(error)})"
        raise InputError(name, "a readable image", found, DAMAGED) from error


def _last_line(error: Exception) -> str:
    """SimpleITK's messages are long; what happened is in their last line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__


def _check_channel(found: Placed, first: Placed) -> None:
    """Raises InputError where a channel does not lie on the first; what can be taken one to one gives a warning."""
    for mismatch in compare(found, first):
        error = InputError(found.file, mismatch.expected, mismatch.found, mismatch.remedy)
        if mismatch.fatal:
            raise error
        _log.warning("%s", error)


def _integers(array: np.ndarray, path: Path) -> np.ndarray:
    """Any real array -> int16 or int32. Raises InputError for values that are not whole numbers."""
    if array.dtype.kind not in "biu":
        rounded = np.rint(array)
        wrong = ~(np.abs(array - rounded) <= _WHOLE)  # also true for NaN
        if wrong.any():
            values = ", ".join(f"{value:g}" for value in np.unique(array[wrong])[:5])
            remedy = (
                "Save the labels as integers; resample them again with nearest neighbour if they were interpolated."
            )
            raise InputError(path, "whole numbers as labels", values, remedy)
        array = rounded
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if low < -(2**31) or high >= 2**31:
        raise InputError(path, "labels of at most 32 bits", f"{low:g} to {high:g}", "Renumber them.")
    return np.require(array, np.int16 if low >= -(2**15) and high < 2**15 else np.int32, ["C", "W"])
