"""TIFF and pictures that are stored inverted, turned, or in unusual types."""

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageOps

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import read_header, read_image, read_labels, write_labels

MASK = np.zeros((40, 48), np.uint8)
MASK[5:19, 7:21] = 1  # 196 pixels
TYPES = ["bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", TYPES)
def test_labels_are_the_stored_values(tmp_path, kind, photometric):
    tifffile.imwrite(tmp_path / "mask.tif", MASK.astype(kind), photometric=photometric)
    assert (read_labels(tmp_path / "mask.tif").array[0] == MASK).all()
    header = read_header(tmp_path / "mask.tif")
    assert (header.channels, header.shape) == (1, MASK.shape)


@pytest.mark.parametrize("kind", TYPES)
def test_an_image_whose_zero_is_white_is_inverted_in_every_type(tmp_path, kind):
    values = MASK.astype(kind)
    tifffile.imwrite(tmp_path / "image.tif", values, photometric="miniswhite")
    found = read_image(tmp_path / "image.tif").array[0]
    whole = {"b": [0, 1], "u": [0, np.iinfo(kind).max] if "uint" in kind else [], "i": [-1, 0], "f": [0, 0]}
    assert (found == np.float32(sum(whole[values.dtype.kind])) - MASK).all()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "group4"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_every_compression_gives_the_stored_mask_and_the_shown_image(tmp_path, compression, white_is_zero):
    """Pillow's tag 262 inverts what it stores, so that the image shown stays the same."""
    picture = PillowImage.fromarray(MASK > 0)
    picture.save(tmp_path / "bits.tif", compression=compression, tiffinfo={262: int(not white_is_zero)})
    assert (read_image(tmp_path / "bits.tif").array[0] == MASK).all()
    assert (read_labels(tmp_path / "bits.tif").array[0] == (1 - MASK if white_is_zero else MASK)).all()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_is_read_as_a_viewer_shows_it(tmp_path, orientation, compression):
    picture = PillowImage.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    picture.save(tmp_path / "turned.tif", compression=compression, tiffinfo={274: orientation})
    exif = picture.getexif()
    exif[274] = orientation
    shown = np.asarray(ImageOps.exif_transpose(picture))
    assert_shown(tmp_path / "turned.tif", shown)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_read_as_a_viewer_shows_them_and_masks_lie_on_them(tmp_path, orientation, ending):
    picture = PillowImage.fromarray(np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, np.ones((16, 16), "u1")))
    exif = PillowImage.Exif()
    exif[274] = orientation
    picture.save(tmp_path / f"turned{ending}", exif=exif, quality=100)
    with PillowImage.open(tmp_path / f"turned{ending}") as stored:
        shown = np.asarray(ImageOps.exif_transpose(stored))
    assert_shown(tmp_path / f"turned{ending}", shown)
    labels = (shown > 100).astype(np.uint8)
    write_labels(tmp_path / "labels.png", labels, read_image(tmp_path / f"turned{ending}").geometry)
    with PillowImage.open(tmp_path / "labels.png") as written:
        assert written.getexif().get(274, 1) == 1 and (np.asarray(written) == labels).all()


def assert_shown(file, shown):
    assert (read_image(file).array[0] == shown).all() and (read_labels(file).array[0] == shown).all()
    assert read_header(file).shape == shown.shape


def test_a_picture_of_more_pixels_than_pillow_allows(tmp_path):
    PillowImage.fromarray(np.zeros((14_000, 14_000), bool)).save(tmp_path / "large.png")
    assert read_header(tmp_path / "large.png").shape == (14_000, 14_000)
    assert read_labels(tmp_path / "large.png").array.shape == (1, 14_000, 14_000)


@pytest.mark.parametrize("options", [{"imagej": True, "metadata": {"axes": "ZYX"}}, {"photometric": "minisblack"}])
def test_stacks_are_refused_however_they_are_stored(tmp_path, options):
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([MASK] * 3), **options)
    for reader in (read_image, read_header):
        with pytest.raises(InputError, match="3 pages"):
            reader(tmp_path / "stack.tif")


def test_a_flipped_byte_is_noticed(tmp_path):
    rng = np.random.default_rng(0)
    tifffile.imwrite(tmp_path / "good.tif", rng.integers(0, 9, (60, 50), np.uint8), compression="zlib")
    PillowImage.fromarray(rng.integers(0, 9, (60, 50), np.uint8)).save(tmp_path / "good.png")
    for ending in (".tif", ".png"):
        content = bytearray((tmp_path / f"good{ending}").read_bytes())
        content[len(content) // 2] ^= 255
        (tmp_path / f"bad{ending}").write_bytes(bytes(content))
        with pytest.raises(InputError, match=r"bad\."):
            read_image(tmp_path / f"bad{ending}")
