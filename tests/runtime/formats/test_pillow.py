"""Photographs and other 2D formats, read and written: values and channels."""

import zlib

import numpy as np
import pytest
from PIL import Image as PillowImage

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.geometry import plain_geometry
from mednca_pipeline.runtime.images import (
    output_ending,
    read_header,
    read_image,
    read_labels,
    to_grey,
    write_labels,
)

sitk = pytest.importorskip("SimpleITK")

GREY = np.random.default_rng(3).integers(0, 256, (6, 5)).astype(np.uint8)
COLOUR = np.random.default_rng(4).integers(0, 256, (6, 5, 4)).astype(np.uint8)


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".bmp"])
def test_2d_grey_rgb_and_bilevel(tmp_path, ending):
    PillowImage.fromarray(GREY).save(tmp_path / f"grey{ending}")
    PillowImage.fromarray(COLOUR[..., :3]).save(tmp_path / f"rgb{ending}")
    PillowImage.fromarray(GREY > 127).save(tmp_path / f"bits{ending}")
    grey, rgb = read_image(tmp_path / f"grey{ending}"), read_image(tmp_path / f"rgb{ending}")
    assert grey.array.dtype == np.float32
    assert grey.spacing_mm == (1.0, 1.0)
    assert (grey.array == GREY[None]).all()
    assert (rgb.array == np.moveaxis(COLOUR[..., :3], -1, 0)).all()
    bits = read_labels(tmp_path / f"bits{ending}").array[0]
    assert (bits == (GREY > 127)).all()
    for name, channels in (("grey", 1), ("rgb", 3)):
        header = read_header(tmp_path / f"{name}{ending}")
        assert (header.channels, header.shape) == (channels, (6, 5))


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_alpha_is_dropped_and_palettes_are_looked_up(tmp_path, ending):
    PillowImage.fromarray(COLOUR).save(tmp_path / f"rgba{ending}")
    PillowImage.fromarray(COLOUR[..., 2:], "LA").save(tmp_path / f"la{ending}")
    assert (read_image(tmp_path / f"rgba{ending}").array == np.moveaxis(COLOUR[..., :3], -1, 0)).all()
    assert (read_image(tmp_path / f"la{ending}").array == COLOUR[None, ..., 2]).all()
    indices = PillowImage.fromarray(GREY % 3).convert("P")
    indices.putpalette([0, 0, 0, 255, 0, 0, 0, 9, 0])
    indices.save(tmp_path / f"palette{ending}")
    red = np.where(GREY % 3 == 1, 255, 0)
    assert read_image(tmp_path / f"palette{ending}").array.shape[0] == 3
    assert (read_image(tmp_path / f"palette{ending}").array[0] == red).all()
    assert (read_labels(tmp_path / f"palette{ending}").array[0] == GREY % 3).all()


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_16_bit_grey(tmp_path, ending):
    values = GREY.astype(np.uint16) * 257
    PillowImage.fromarray(values).save(tmp_path / f"grey{ending}")
    assert (read_image(tmp_path / f"grey{ending}").array[0] == values).all()
    write_labels(tmp_path / f"labels{ending}", values, plain_geometry((6, 5)))
    assert (np.asarray(PillowImage.open(tmp_path / f"labels{ending}")) == values).all()


@pytest.mark.parametrize(("colour_type", "channels", "kept"), [(2, 3, 3), (6, 4, 3), (4, 2, 1)])
def test_16_bit_png_keeps_its_low_bytes(tmp_path, colour_type, channels, kept):
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    start = (5).to_bytes(4, "big") + (6).to_bytes(4, "big") + bytes([16, colour_type, 0, 0, 0])
    body = chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "colour.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    image = read_image(tmp_path / "colour.png")
    assert image.array.shape[0] == read_header(tmp_path / "colour.png").channels == kept
    assert (image.array == np.moveaxis(values[..., :kept], -1, 0)).all()


def test_16_bit_colour_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 3)).astype(np.uint16)
    for name, options in (("raw", {}), ("zlib", {"compression": "zlib"}), ("big", {"byteorder": ">"})):
        tifffile.imwrite(tmp_path / f"{name}.tif", values, photometric="rgb", **options)
        assert (read_image(tmp_path / f"{name}.tif").array == np.moveaxis(values, -1, 0)).all(), name
    tifffile.imwrite(tmp_path / "planes.tif", np.moveaxis(values, -1, 0), photometric="rgb", planarconfig="separate")
    assert (read_image(tmp_path / "planes.tif").array == np.moveaxis(values, -1, 0)).all()


def test_grey_of_equal_channels_and_of_colours():
    equal = np.repeat(np.array([[[3, 200]]], np.float32), 3, axis=0)
    assert to_grey(equal).tolist() == to_grey(equal[:1]).tolist() == [[[3, 200]]]
    red_and_green = np.array([[[255, 0]], [[0, 255]], [[0, 0]]], np.float32)
    assert to_grey(red_and_green).tolist() == [[[76, 150]]]  # 0.299 * 255 and 0.587 * 255, rounded


def test_tiff_stack_is_refused_with_a_remedy(tmp_path):
    pages = [PillowImage.fromarray(GREY)] * 3
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"stack\.tif.*3 pages.*\.nii\.gz"):
        read_image(tmp_path / "stack.tif")


def test_grey_stored_as_rgb_is_one_label_channel(tmp_path):
    PillowImage.fromarray(np.stack([GREY % 2] * 3, axis=-1)).save(tmp_path / "mask.png")
    assert (read_labels(tmp_path / "mask.png").array == GREY[None] % 2).all()
    PillowImage.fromarray(COLOUR[..., :3]).save(tmp_path / "colours.png")
    with pytest.raises(InputError, match=r"colours\.png.*one channel"):
        read_labels(tmp_path / "colours.png")


def test_jpeg_is_read_and_not_written(tmp_path):
    PillowImage.fromarray(np.full((6, 5), 100, np.uint8)).save(tmp_path / "in.jpg")
    image = read_image(tmp_path / "in.jpg")
    assert (image.array == 100).all()
    with pytest.raises(InputError, match=r"\.png"):
        write_labels(tmp_path / "out.jpg", image.array[0].astype(int), image.geometry)
    write_labels(tmp_path / f"out{output_ending('.jpg')}", image.array[0].astype(int), image.geometry)
    assert (read_labels(tmp_path / "out.png").array == 100).all()
