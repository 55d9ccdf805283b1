"""TIFF in 2D: the stored values through tifffile, and through Pillow where tifffile lacks the compression.

Labels are the values as stored. Images are as a viewer shows them: turned as tag Orientation says, MINISWHITE inverted,
palettes looked up, alpha dropped.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..geometry import Geometry, plain_geometry
from . import pillow
from .limits import check_size
from .orientation import TAG, UPRIGHT, as_shown, shape_as_shown

if TYPE_CHECKING:
    from tifffile import TiffPage

write = pillow.write
_WHITE_IS_ZERO, _PALETTE = 0, 3
_VALUES = (0, 1, 2, 3)  # photometric interpretations whose values need no conversion to grey or RGB
_COMPRESSIONS = (1, 8, 32773, 32946, 34925, 50000)  # none, deflate, PackBits, deflate, LZMA, Zstandard
_FLOAT_PREDICTOR = 3


def read(path: Path, as_labels: bool = False) -> tuple[np.ndarray, Geometry]:
    """(C, y, x) with 1 or 3 channels in the file's type."""
    with _only_page(path) as page:
        if not _is_plain(page):
            return pillow.read(path, as_labels)
        check_size(path, page.nbytes)
        stored = page.asarray()
    if page.planarconfig == 2 and stored.ndim == 3:  # each channel by itself
        stored = np.moveaxis(stored, 0, -1)
    if stored.dtype.kind not in "biuf":
        raise InputError("", "real numbers", str(stored.dtype), "Export magnitude images.")
    pixels = np.atleast_3d(stored)[..., : _channels_stored(page)]
    if not as_labels:
        pixels = _looked_up(page, pixels) if page.photometric == _PALETTE else _bright(page, pixels)
    channels = np.moveaxis(as_shown(pixels, _orientation(page)), -1, 0)
    if (as_labels or page.photometric == _PALETTE) and (channels == channels[0]).all():
        channels = channels[:1]
    return channels, plain_geometry(channels.shape[1:])


def header(path: Path) -> tuple[int, Geometry]:
    """The number of channels and the geometry."""
    with _only_page(path) as page:
        if not _is_plain(page):
            return pillow.header(path)
    channels = _channels_stored(page)
    if page.photometric == _PALETTE:
        colours = _colours(page)
        channels = 1 if (colours == colours[:1]).all() else 3
    return channels, plain_geometry(shape_as_shown((page.imagelength, page.imagewidth), _orientation(page)))


@contextmanager
def _only_page(path: Path) -> "Iterator[TiffPage]":
    """The page of a TIFF that holds one 2D image. Raises InputError for stacks."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is raised as well
    with tifffile.TiffFile(path) as file:
        series = [one for one in file.series if one.size]
        pages = sum(math.prod(one.shape) // math.prod(one.keyframe.shape) for one in series)
        if pages != 1:
            found = f"{pages} pages" if pages else "no image"
            raise InputError("", "one 2D image", found, "Save stacks as .nii.gz, or each page as a file.")
        yield series[0].keyframe


def _is_plain(page: "TiffPage") -> bool:
    """Whether tifffile gives the values as they are stored."""
    known = page.compression in _COMPRESSIONS and page.predictor != _FLOAT_PREDICTOR
    return known and page.photometric in _VALUES


def _channels_stored(page: "TiffPage") -> int:
    return 3 if page.photometric == 2 else 1  # 2: RGB; what follows is alpha


def _orientation(page: "TiffPage") -> int:
    tag = page.tags.get(TAG)
    return tag.value if tag is not None else UPRIGHT


def _colours(page: "TiffPage") -> np.ndarray:
    """(3, entries): the palette in 8 bits."""
    colours = np.asarray(page.colormap)
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)


def _looked_up(page: "TiffPage", pixels: np.ndarray) -> np.ndarray:
    return np.moveaxis(_colours(page)[:, pixels[..., 0]], 0, -1)


def _bright(page: "TiffPage", pixels: np.ndarray) -> np.ndarray:
    """The values, inverted where 0 is shown white."""
    if page.photometric != _WHITE_IS_ZERO:
        return pixels
    if pixels.dtype.kind == "f":
        return -pixels
    if pixels.dtype.kind == "u":
        return (2**page.bitspersample - 1) - pixels
    return ~pixels
