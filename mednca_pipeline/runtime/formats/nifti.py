"""NIfTI and Analyze through nibabel, with any affine: non-orthonormal headers are read as they are."""

import gzip
import logging
import math
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeHeader, AnalyzeImage
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError

from ..errors import InputError
from ..files import replacing
from ..geometry import RAS_FROM_LPS, Geometry, check_spacing, geometry_from_affine
from .limits import check_size, decompressed, pieces_of

_log = logging.getLogger(__name__)

# What a NIfTI header says about geometry; written back exactly, so that every program reads what it read in the input.
_FIELDS = (
    *("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)
_SLACK_BYTES = 1 << 20  # that a file may have after its voxels
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # metre, micrometre; the others are taken as mm


def read(path: Path, as_labels: bool = False) -> tuple[np.ndarray, Geometry]:
    """(C, z, y, x) or (C, y, x) in LPS in the file's type; the axes after the third are the channels."""
    image = _load(path)
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:  # RGB24 and RGBA32
        data = np.stack([data[name] for name in data.dtype.names[:3]], axis=-1)
    if data.dtype.kind not in "biuf":
        raise InputError("", "real numbers", str(data.dtype), "Export magnitude images.")
    geometry = _geometry(image.header, path)
    channels_last = data.reshape(*geometry.file_shape, -1, order="F")
    return np.moveaxis(geometry.from_file_axes(channels_last), -1, 0), geometry


def header(path: Path) -> tuple[int, Geometry]:
    """The number of channels and the geometry, from the file's first bytes."""
    found = _unread(path).header
    geometry = _geometry(found, path)
    colours = min(3, len(found.get_data_dtype().names or "1"))
    return colours * math.prod(found.get_data_shape()[3:]), geometry


def voxel_files(path: Path) -> list[Path]:
    """The .img file of an .hdr header; [] where there is none."""
    pair = [path.with_suffix(ending) for ending in (".img", ".IMG")]
    return [file for file in pair if file.is_file()][:1]


def write(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Writes an array (i, j[, k]) with the header fields of the NIfTI that the geometry came from, if it did."""
    new = nib.Nifti1Header()
    new.set_data_dtype(array.dtype)
    new.set_data_shape(array.shape)
    for name, values in geometry.nifti.items():
        new[name] = values[0] if len(values) == 1 else values
    if not geometry.nifti:
        affine = RAS_FROM_LPS @ geometry.file_affine
        new.set_sform(affine, code="scanner")
        new.set_qform(affine, code="scanner", strip_shears=True)
        new.set_xyzt_units("mm")
    with replacing(path) as temporary:
        nib.save(nib.Nifti1Image(array, None, new), temporary)


def _unread(path: Path) -> AnalyzeImage:
    """An image whose header is read. Raises InputError for a file whose name does not say whether it is compressed."""
    with path.open("rb") as file:
        start = file.read(540)
    compressed, named = start[:2] == b"\x1f\x8b", path.name.lower().endswith(".gz")
    if compressed and not named:
        raise InputError("", "an uncompressed file, as .nii says", "a gzip file", "Rename it to .nii.gz.")
    if named and not compressed and 348 in (int.from_bytes(start[:4], order) for order in ("little", "big")):
        raise InputError("", "a gzip file, as .gz says", "an uncompressed NIfTI file", "Rename it to .nii.")
    if path.suffix.lower() == ".hdr" and not voxel_files(path):
        found = f"no file {path.with_suffix('.img').name} beside it"
        raise InputError("", "an .hdr header with its voxels", found, "Copy the .img file beside it.")
    image = nib.load(path)
    assert isinstance(image, AnalyzeImage)  # by the file's ending
    return image


def _load(path: Path) -> AnalyzeImage:
    """As nib.load, with a limit to what is unpacked and its checksum verified, and faster for small volumes."""
    unread = _unread(path)
    stored = sum(file.stat().st_size for file in (path, *voxel_files(path)))
    proxy = unread.dataobj
    assert isinstance(proxy, ArrayProxy)  # nothing is read yet
    declared = proxy.offset + math.prod(map(int, unread.shape)) * unread.get_data_dtype().itemsize
    check_size(path, declared, stored)
    if path.name.lower().endswith(".gz"):
        content = decompressed(pieces_of(path), 31, declared + _SLACK_BYTES)
        kind = nib.Nifti2Image if content[4:8] == b"n+2\0" else nib.Nifti1Image
        image: AnalyzeImage = kind.from_bytes(content)
        return image
    if declared > stored:
        raise InputError("", f"{declared:,} bytes, as the header declares", f"{stored:,}", "Copy or export it again.")
    loaded = nib.load(path, mmap=False)
    assert isinstance(loaded, AnalyzeImage)  # by the file's ending
    return loaded


def _geometry(found: AnalyzeHeader, path: Path) -> Geometry:
    """The geometry of a header. Raises InputError for fewer than 2 axes and for a header without a usable affine."""
    shape = found.get_data_shape()
    if len(shape) < 2 or 0 in shape:
        raise InputError("", "an image of 2 or 3 axes, or with channels on a fourth", f"shape {shape}")
    if not isinstance(found, nib.Nifti1Header):  # Analyze
        return geometry_from_affine(shape[:3], RAS_FROM_LPS @ found.get_best_affine(), oriented=False)
    fields = {name: tuple(np.atleast_1d(found[name]).astype(float).tolist()) for name in _FIELDS}
    pixdim = _stored_pixdim(path, found)
    refused: list[InputError | HeaderDataError] = []
    for affine in _affines(found):
        try:
            if affine != found.get_sform:  # nibabel takes 0 as 1, and a negative spacing as a positive one
                check_spacing(pixdim, "pixdim", "")
            placed = _to_mm(found) @ RAS_FROM_LPS @ affine()
            geometry = geometry_from_affine(shape[:3], placed, fields, affine != found.get_base_affine)
        except (InputError, HeaderDataError) as error:
            refused.append(error)
            continue
        for reason in refused:
            _log.warning("%s: the header's affine cannot be used, its next best is: %s", path, reason)
        return geometry
    raise refused[0]


def _affines(found: nib.Nifti1Header) -> list[Callable[[], np.ndarray]]:
    """What a header says about the place of its voxels, the best first."""
    forms = [("sform_code", found.get_sform), ("qform_code", found.get_qform)]
    return [*(form for code, form in forms if int(found[code]) > 0), found.get_base_affine]


def _to_mm(found: nib.Nifti1Header) -> np.ndarray:
    return np.diag([_MM_PER_UNIT.get(int(found["xyzt_units"]) & 7, 1.0)] * 3 + [1.0])


def _stored_pixdim(path: Path, found: nib.Nifti1Header) -> np.ndarray:
    """The spacings as they are in the file: nibabel corrects them as it reads. 1 where an axis has one voxel."""
    place, kind = (104, "f8") if isinstance(found, nib.Nifti2Header) else (76, "f4")
    opened = gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")
    with opened as file:
        file.seek(place)
        stored = np.frombuffer(file.read(8 * int(kind[1])), found.endianness + kind)
    sizes = np.array(found.get_data_shape()[:3])
    return np.where(sizes == 1, 1.0, stored[1 : 1 + len(sizes)])


def both_forms(geometry: Geometry) -> tuple[Geometry, Geometry] | None:
    """The geometries that the sform (which is used) and the qform of a file give, or None unless it has both."""
    header = nib.Nifti1Header()
    header.set_data_shape(geometry.file_shape)
    for name, values in geometry.nifti.items():
        header[name] = values[0] if len(values) == 1 else values
    if not geometry.nifti or min(int(header["sform_code"]), int(header["qform_code"])) < 1:
        return None
    try:
        sform, qform = (
            geometry_from_affine(geometry.file_shape, _to_mm(header) @ RAS_FROM_LPS @ form)
            for form in (header.get_sform(), header.get_qform())
        )
    except (InputError, HeaderDataError):
        return None
    return sform, qform
