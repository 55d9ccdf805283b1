"""PNG, BMP and JPEG (input only) in 2D through Pillow: grey, colour, palettes, alpha dropped, 1 to 32 bits.

Pictures are turned as EXIF says. TIFF is written here, and read where tiff.py does not know the compression.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from ..errors import InputError
from ..files import replacing
from ..geometry import Geometry, plain_geometry
from .limits import check_size
from .orientation import TAG, UPRIGHT, as_shown, shape_as_shown

_GREY = ("1", "L", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a TIFF tag, and one of its values
_PLANAR_CONFIGURATION, _SEPARATE = 284, 2
_PNG_START = b"\x89PNG\r\n\x1a\n"


def read(path: Path, as_labels: bool = False) -> tuple[np.ndarray, Geometry]:
    """(C, y, x) with 1 or 3 channels in the file's type. Labels: the index of a palette, one of three equal colours."""
    with _opened(path) as image:
        _check_checksums(path)
        white_is_zero = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        if as_labels and image.mode in ("P", "PA"):
            array = np.asarray(image if image.mode == "P" else image.getchannel(0))
        else:
            array = _pixels(image)
        if white_is_zero and as_labels == (array.dtype.itemsize == 1):  # Pillow inverts up to 8 bits and no others
            array = ~array
        array = as_shown(array, _orientation(image))  # of a PNG this may load the pixels in another form
    channels = np.moveaxis(np.atleast_3d(array), -1, 0)
    if as_labels and (channels == channels[0]).all():
        channels = channels[:1]
    return channels, plain_geometry(channels.shape[1:])


def header(path: Path) -> tuple[int, Geometry]:
    """The number of channels and the geometry, from the file's first bytes."""
    with _opened(path) as image:
        channels = 1 if _is_grey(image) else 3
        return channels, plain_geometry(shape_as_shown((image.height, image.width), _orientation(image)))


def write(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Writes an array (i, j) as a grey image. Raises InputError for 3D and for values that the format cannot hold."""
    if geometry.ndim != 2:
        raise InputError(path, "a 2D image", f"{geometry.ndim} axes", "Write 3D images as .nii.gz.")
    ending = path.suffix.lower()
    largest = {".bmp": 1, ".png": 2}.get(ending, 4)
    if array.itemsize > largest:
        raise InputError(path, f"values that {ending} can hold", str(array.dtype), "Write .nii.gz or .tif.")
    options: dict[str, Any] = {"compression": "tiff_adobe_deflate"} if ending in (".tif", ".tiff") else {}
    if ending == ".png":
        options = {"compress_level": 1}  # half the time of the default, 6; masks are a few kilobytes either way
    upright = np.ascontiguousarray(array.squeeze().T)
    with replacing(path) as temporary:
        Image.fromarray(upright).save(temporary, **options)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image of one frame, whose size the file can hold."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # check_size judges, by the file's size
    try:
        image = Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    with image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise InputError("", "one 2D image", f"{frames} pages", "Save stacks as .nii.gz, or each page as a file.")
        check_size(path, image.width * image.height * len(image.getbands()) // (8 if image.mode == "1" else 1))
        yield image


def _orientation(image: Image.Image) -> int:
    """How the pixels that Pillow gives are to be turned."""
    return UPRIGHT if image.format == "TIFF" else image.getexif().get(TAG, UPRIGHT)  # Pillow turns TIFF itself


def _check_checksums(path: Path) -> None:
    """Raises InputError where a chunk of a PNG file is damaged, which Pillow does not notice in all of them."""
    content = memoryview(path.read_bytes())
    if content[: len(_PNG_START)] != _PNG_START:
        return
    at = len(_PNG_START)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind, stored = bytes(content[at + 4 : at + 8]), content[at + 8 + length : at + 12 + length]
        if len(stored) < 4 or zlib.crc32(content[at + 4 : at + 8 + length]) != int.from_bytes(stored, "big"):
            raise InputError("", "intact PNG data", "a chunk with a wrong checksum", "Copy or export it again.")
        if kind == b"IEND":
            return
        at += 12 + length
    raise InputError("", "the end of the PNG data", "that the file is cut off", "Copy or export it again.")


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        colours = np.reshape(image.getpalette("RGB") or [0, 0, 0], (-1, 3))
        return bool((colours == colours[:, :1]).all())
    return image.mode in (*_GREY, "LA", "La") or _rawmode(image).startswith("LA")


def _pixels(image: Image.Image) -> np.ndarray:
    """(y, x) or (y, x, 3), without alpha."""
    rawmode = _rawmode(image)
    if image.mode in _GREY:
        return np.asarray(image)
    if rawmode == "LA;16B":  # PNG: read as RGBA, the four bytes of a pixel are two of grey, then two of alpha
        high_low = _read_as(image, rawmode, "RGBA").astype(np.uint16)
        return high_low[..., 0] * 256 + high_low[..., 1]
    if _is_grey(image):
        return np.asarray(image.convert("RGB") if image.mode in ("P", "PA") else image)[..., 0]
    if image.mode in ("RGB", "RGBA", "RGBX"):
        if ";16" in rawmode:
            if getattr(image, "tag_v2", {}).get(_PLANAR_CONFIGURATION) == _SEPARATE:
                raise InputError("", "interleaved colours", "16-bit colour planes", "Save it as PNG or as 8 bit.")
            return _sixteen_bit_colours(image, rawmode)
        return np.asarray(image)[..., :3]
    return np.asarray(image.convert("RGB"))


def _rawmode(image: Image.Image) -> str:
    """How the pixels lie in the file, such as "RGB;16B"; "" when Pillow does not say."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0].args if tiles else ""
    rawmode = arguments if isinstance(arguments, str) else next(iter(arguments or ()), "")
    return rawmode if isinstance(rawmode, str) else ""


def _sixteen_bit_colours(image: Image.Image, rawmode: str) -> np.ndarray:
    """(y, x, 3) uint16. Pillow gives the high bytes only: the low ones come from reading in the other byte order."""
    swapped = rawmode[:-1] + ("L" if rawmode.endswith("B") else "B")
    low = _read_as(image, rawmode, swapped)[..., :3]
    high = np.asarray(image)[..., :3].astype(np.uint16)
    return high * 256 + low


def _read_as(image: Image.Image, rawmode: str, other: str) -> np.ndarray:
    """The file's pixels, read as if they lay in it in another way. `image` is not loaded: loading forgets the tiles."""
    assert isinstance(image, ImageFile.ImageFile)  # it comes from Image.open
    with Image.open(image.filename) as again:
        again.tile = [tile._replace(args=_replaced(tile.args, rawmode, other)) for tile in image.tile]
        return np.asarray(again)


def _replaced(arguments: Any, old: str, new: str) -> Any:
    """A tile's arguments, which are the raw mode or a tuple that contains it, with another raw mode."""
    return new if isinstance(arguments, str) else tuple(new if value == old else value for value in arguments)
