"""Writes images and masks of a source in the raw format."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import replacing
from mednca_pipeline.runtime.formats.sitk import SEGMENTATION
from mednca_pipeline.runtime.geometry import Geometry, offset_in
from mednca_pipeline.runtime.images import Image as LabelImage
from mednca_pipeline.runtime.images import read_header, read_image, read_labels, to_grey, write_labels, write_volume
from mednca_pipeline.runtime.listing import listed

Source = Path | tuple[Path, ...]  # a file, or the files of a DICOM series


def place(source: Source) -> Path:
    """Where an image lies, for messages: its file, or the folder of its series."""
    return source[0].parent if isinstance(source, tuple) else source


def copy(source: Path, target: Path) -> None:
    """Copies the voxels as they are, byte for byte."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def is_coloured(source: Path) -> bool:
    """Whether a picture has three channels that are not all the same."""
    if read_header(source).channels == 1:
        return False
    array = read_image(source).array
    return bool((array != array[:1]).any())


def write_grey(source: Path, target: Path) -> None:
    """Writes a picture as a grey PNG, 8 or 16 bit: one of its equal channels, or the luma of its colours."""
    _write_png(target, _as_integers(to_grey(read_image(source).array)[0], source))


def write_colour(source: Path, target: Path) -> None:
    """Writes a picture as an RGB PNG of 8 bit. A grey picture has three equal channels then."""
    pixels = _as_integers(np.moveaxis(read_image(source).array, 0, -1), source)  # (y, x, 1 or 3)
    if pixels.dtype != np.uint8:
        raise InputError(source, "colours of 8 bit", "more", "Store all images as .tif, which are copied.")
    _write_png(target, np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def write_channel(source: Source, channel: int, target: Path) -> None:
    """Writes one channel of an image in the target's format, float32."""
    image = read_image(source)
    write_volume(target, image.array[channel], image.geometry)


def write_mapped_labels(source: Path, mapping: Mapping[int, int] | None, reference: Source, target: Path) -> None:
    """Writes a label file in the target's format with its values mapped; 0 stays 0 unless it is mapped.

    A segmentation of 3D Slicer that is cropped is placed on the grid of the image `reference`. Raises InputError for a
    value without a counterpart, and for another size than that of `reference`.
    """
    labels = read_labels(source)
    array, geometry = labels.array[0], labels.geometry
    if source.name.lower().endswith(SEGMENTATION):
        array, geometry = _placed(source, labels, reference)
    _check_size(source, array.shape, reference)
    if mapping is not None:
        pairs = {0: 0, **mapping}
        unknown = sorted(set(np.unique(array).tolist()) - set(pairs))
        if unknown:
            known, found = listed(list(pairs), 20), f"also {listed(unknown, 8)}"
            raise InputError(source, f"only the values {known}", found, "Add them to --map.")
        array = np.select([array == value for value in pairs], list(pairs.values())).astype(np.int32)
    write_labels(target, array, geometry)


def _placed(source: Path, labels: LabelImage, reference: Source) -> tuple[np.ndarray, Geometry]:
    """The labels on the grid of the image `reference`, 0 beyond their own grid, which must be a part of it."""
    whole = read_header(reference).geometry
    first = offset_in(labels.geometry, whole)
    if first is None:
        expected = f"a grid that is a part of that of {place(reference).name}"
        remedy = "Export it from 3D Slicer with this image as the source geometry."
        raise InputError(source, expected, "another spacing, direction or place", remedy)
    array = np.zeros(whole.shape, labels.array.dtype)
    array[tuple(slice(at, at + side) for at, side in zip(first, labels.geometry.shape, strict=True))] = labels.array[0]
    return array, whole


def write_mask(sources: Sequence[Path], threshold: float, reference: Source, target: Path) -> None:
    """Writes 1 where any of the masks is above `threshold`, else 0; without masks, zeros of the reference's size.

    Raises InputError when a mask has another size than the image `reference`.
    """
    geometry = read_header(reference).geometry
    merged = np.zeros(geometry.shape, np.uint8)
    for source in sources:
        mask, geometry = _read_mask(source, threshold)
        _check_size(source, mask.shape, reference)
        merged[mask] = 1
    write_labels(target, merged, geometry)


def _check_size(source: Path, found: tuple[int, ...], reference: Source) -> None:
    expected = read_header(reference).shape
    if found != expected:
        raise InputError(
            source,
            f"the size {expected} of {place(reference).name}",
            str(found),
            "Correct the mask, or move it and its image out of the folder.",
        )


def _read_mask(source: Path, threshold: float) -> tuple[np.ndarray, Geometry]:
    """bool (z, y, x) or (y, x) of the values as they are stored. The white of a picture of one bit counts as 255."""
    mode = _mode(source)
    image = read_image(source, stored=mode not in ("P", "PA"))
    array = image.array.max(axis=0)
    if mode == "1":
        array = array * 255
    return array > threshold, image.geometry


def _mode(source: Path) -> str:
    """Pillow's mode of a picture: "1" is one bit, "P" a palette. "" for anything that Pillow cannot read."""
    try:
        with Image.open(source) as picture:
            return picture.mode
    except OSError:
        return ""


def _as_integers(array: np.ndarray, source: Path) -> np.ndarray:
    """uint8, or uint16 above 255."""
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 65535 and (array == np.rint(array)).all()):
        raise InputError(
            source,
            "whole intensities of 0 to 65535",
            f"{low:g} to {high:g}",
            "Store all images as .tif, which are copied.",
        )
    return array.astype(np.uint8 if high <= 255 else np.uint16)


def _write_png(target: Path, array: np.ndarray) -> None:
    with replacing(target) as temporary:
        Image.fromarray(np.ascontiguousarray(array)).save(temporary, compress_level=3)  # half the time, a tenth larger
