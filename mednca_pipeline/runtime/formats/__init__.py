"""File formats by ending. Each module reads arrays and headers, and writes arrays in file axes.

A module is imported when a file of its format is read or written: nibabel and Pillow are slow to import.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from ..errors import InputError
from ..geometry import Geometry
from .dicom_series import is_dicom


class Format(Protocol):
    """What a module of this package offers, as functions."""

    def read(self, path: Path, as_labels: bool = False) -> tuple[np.ndarray, Geometry]:
        """(C, z, y, x) or (C, y, x) in LPS, in the type that the file has, and the geometry."""

    def header(self, path: Path) -> tuple[int, Geometry]:
        """The number of channels and the geometry."""


class WritableFormat(Format, Protocol):
    """One that labels and maps can be written in."""

    def write(self, path: Path, array: np.ndarray, geometry: Geometry) -> None:
        """Writes an array in file axes, (i, j) or (i, j, k)."""


Writer = Callable[[Path, np.ndarray, Geometry], None]

_MODULES = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".hdr": "nifti",
    ".nrrd": "sitk",
    ".nhdr": "sitk",
    ".mha": "sitk",
    ".mhd": "sitk",
    ".png": "pillow",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "pillow",
    ".jpg": "pillow",
    ".jpeg": "pillow",
    ".dcm": "dicom",
}
_VOXELS_BESIDE = (".mhd", ".nhdr", ".hdr")  # headers whose voxels lie in another file
_LABELS_AS = {
    **{".jpg": ".png", ".jpeg": ".png", ".dcm": ".nii.gz"},  # lossy, or a series
    **{".nhdr": ".nrrd", ".hdr": ".nii.gz"},  # of two files
}
_PICTURES = (ending for ending, module in _MODULES.items() if module in ("pillow", "tiff"))
_VOLUMES_AS = dict.fromkeys(_PICTURES, ".tif") | {".tiff": ".tiff"}

SUPPORTED = tuple(_MODULES)  # every ending that can be read, lower case
WRITABLE = tuple(ending for ending in SUPPORTED if ending not in _LABELS_AS)


def split_ending(path: Path | str) -> tuple[str, str]:
    """The file name without its ending, and the ending in lower case: "a.b.nii.gz" -> ("a.b", ".nii.gz")."""
    name = Path(path).name
    for ending in SUPPORTED:
        if name.lower().endswith(ending):
            return name[: -len(ending)], ending
    return Path(path).stem, Path(path).suffix.lower()


def output_ending(input_ending: str) -> str:
    """The ending of label files for images with `input_ending`: the same, but .png for JPEG and .nii.gz for DICOM.

    An ending that is not among `SUPPORTED` can only be part of the name of a DICOM folder or file.
    """
    ending = input_ending.lower()
    return _LABELS_AS.get(ending, ending) if ending in SUPPORTED else ".nii.gz"


def volume_ending(input_ending: str) -> str:
    """The ending of float maps for images with `input_ending`: as `output_ending`, but .tif for the 2D formats."""
    return _VOLUMES_AS.get(input_ending.lower(), output_ending(input_ending))


def is_series(files: list[Path]) -> bool:
    """Whether several files are the slices of one DICOM series rather than one image's channels, as folders are."""
    return all(not file.is_dir() and _module(file) == "dicom" for file in files)


def stored_files(path: Path) -> list[Path]:
    """All files in which an image lies: those of a DICOM folder, sorted; a header and its voxels; else `path`."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    if path.suffix.lower() not in _VOXELS_BESIDE:
        return [path]
    if path.suffix.lower() == ".hdr":
        from .nifti import voxel_files
    else:
        from .sitk import voxel_files
    return [path, *voxel_files(path)]


def read(source: Path | list[Path], as_labels: bool) -> tuple[np.ndarray, Geometry]:
    """(C, z, y, x) or (C, y, x) in LPS, in the type that the file has, and the geometry."""
    if isinstance(source, list):
        from .dicom import read_series

        return read_series(source)
    return _existing(source).read(source, as_labels)


def header(source: Path | list[Path]) -> tuple[int, Geometry]:
    """The number of channels and the geometry."""
    if isinstance(source, list):
        array, geometry = read(source, as_labels=False)
        return array.shape[0], geometry
    return _existing(source).header(source)


def writer(path: Path) -> Writer:
    """The function that writes (path, array in file axes, geometry). Raises InputError for an ending without one."""
    ending = split_ending(path)[1]
    if ending not in WRITABLE:
        raise InputError(path, f"an ending that can be written ({', '.join(WRITABLE)})", repr(ending))
    return cast(WritableFormat, _imported(_MODULES[ending])).write


def _existing(path: Path) -> Format:
    """The module that reads `path`. Raises where there is nothing, and for a pipe, which would wait for ever."""
    if not path.exists():
        raise FileNotFoundError(path)
    if not path.is_dir() and not path.is_file():
        raise InputError(path, "a file or a folder", "a pipe or a device", "Copy its content into a file.")
    return _imported(_module(path))


def _imported(module: str) -> Format:
    return cast(Format, import_module(f".{module}", __name__))


def _module(path: Path) -> str:
    """The name of the module that reads `path`."""
    ending = split_ending(path)[1]
    if ending in _MODULES:
        return _MODULES[ending]
    if path.is_dir() or is_dicom(path):
        return "dicom"
    if not path.exists():
        raise FileNotFoundError(path)
    raise InputError(path, f"a file ending in {', '.join(SUPPORTED)}, or DICOM", ending or "no ending")
