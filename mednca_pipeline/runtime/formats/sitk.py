"""NRRD, NHDR, MHA and MHD through SimpleITK, which is optional and only imported here when it is needed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..geometry import Geometry, make_geometry
from ..temporary import temporary_name, tidy_once
from .text_headers import TextHeader, metaimage, nrrd, segment_values

SEGMENTATION = ".seg.nrrd"  # how the segmentations of 3D Slicer end

SimpleITK = Any  # the module, which is imported late
SitkImage = Any  # SimpleITK.Image, or a reader that has read a header


def simpleitk() -> SimpleITK:
    """The SimpleITK module. Raises InputError with the remedy when it is not installed."""
    try:
        import SimpleITK
    except ImportError as error:
        expected = "SimpleITK, which reads NRRD, MHA, MHD and DICOM"
        remedy = 'Install it with pip install "mednca_pipeline[formats]", or convert the images to .nii.gz.'
        raise InputError("", expected, "that it is not installed", remedy) from error
    return SimpleITK


@contextmanager
def quiet(sitk: SimpleITK) -> Iterator[None]:
    """Keeps ITK's warnings from the terminal: they repeat the texts of tags."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def voxel_files(path: Path) -> list[Path]:
    """The file beside an .mhd or .nhdr header that holds its voxels; [] where the header names none that is there."""
    try:
        voxels = _checked(path).voxels
    except (InputError, OSError):
        return []
    return [voxels] if voxels != path else []


def _checked(path: Path) -> TextHeader:
    """The header of a file. Raises InputError for one that ITK must not see."""
    return nrrd(path) if path.suffix.lower() in (".nrrd", ".nhdr") else metaimage(path)


def read(path: Path, as_labels: bool = False) -> tuple[np.ndarray, Geometry]:
    """(C, z, y, x) or (C, y, x) in LPS in the file's type; components or a fourth axis are the channels."""
    sitk = simpleitk()
    if path.name.lower().endswith(SEGMENTATION):
        segment_values(path)  # raises where segments overlap
    oriented = _checked(path).oriented
    return from_simpleitk(sitk.ReadImage(str(path)), oriented)


def header(path: Path) -> tuple[int, Geometry]:
    """The number of channels and the geometry, without the voxels."""
    oriented = _checked(path).oriented
    reader = simpleitk().ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    geometry = _geometry(reader, oriented)
    return reader.GetNumberOfComponents() * int(np.prod(reader.GetSize()[3:], dtype=int)), geometry


def write(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Writes an array (i, j[, k]) with its spacing, origin and direction, compressed."""
    sitk = simpleitk()
    n = array.ndim
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(geometry.file_spacing_mm[:n])
    image.SetOrigin(geometry.file_origin_mm[:n])
    image.SetDirection([value for row in geometry.file_direction[:n] for value in row[:n]])
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy_once(path.parent)
    folder = path.with_name(temporary_name("folder"))
    try:
        folder.mkdir()
        sitk.WriteImage(image, str(folder / path.name), useCompression=True)
        for written in sorted(folder.iterdir(), key=lambda file: file.name == path.name):  # .mhd after its voxels
            os.replace(written, path.with_name(written.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def from_simpleitk(image: SitkImage, oriented: bool = True) -> tuple[np.ndarray, Geometry]:
    """A SimpleITK image of 2 to 4 axes, scalar or vector -> (C, z, y, x) or (C, y, x) in LPS, and its geometry.

    oriented: whether the file says which way its axes run.
    """
    geometry = _geometry(image, oriented)
    array = simpleitk().GetArrayFromImage(image)  # ([t,] k, j, i [, component])
    if array.dtype.kind not in "biuf":
        raise InputError("", "real numbers", str(array.dtype), "Export magnitude images.")
    spatial = len(geometry.file_shape)
    array = array.reshape(-1, *geometry.file_shape[::-1], image.GetNumberOfComponentsPerPixel())
    array = array.transpose(*range(spatial, 0, -1), 0, spatial + 1)  # (i, j[, k], t, component)
    channels_last = array.reshape(*geometry.file_shape, -1)
    return np.moveaxis(geometry.from_file_axes(channels_last), -1, 0), geometry


def _geometry(image: SitkImage, oriented: bool = True) -> Geometry:
    """The geometry of an image of 2 to 4 axes, or of a reader that has read the header."""
    dimension = image.GetDimension()
    if dimension not in (2, 3, 4):
        raise InputError("", "2 to 4 axes", str(dimension))
    n = min(dimension, 3)
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    spacing[:n] = image.GetSpacing()[:n]
    origin[:n] = image.GetOrigin()[:n]
    direction[:n, :n] = np.reshape(image.GetDirection(), (dimension, dimension))[:n, :n]
    return make_geometry(image.GetSize()[:n], spacing, origin, direction, oriented=oriented)
