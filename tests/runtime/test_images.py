"""Readers and writers of every format but DICOM: values, geometry, and what a user is told about a bad file."""

import ast
import gzip
import os
import pkgutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as PillowImage

import mednca_runtime
from mednca_runtime.errors import InputError
from mednca_runtime.geometry import plain_geometry
from mednca_runtime.images import (
    output_ending,
    read_header,
    read_image,
    read_labels,
    split_ending,
    stored_files,
    to_grey,
    volume_ending,
    write_labels,
    write_volume,
)

sitk = pytest.importorskip("SimpleITK")


def rotation(*degrees):
    """(3, 3): turned about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def affine_of(matrix, spacing=(0.7, 1.1, 2.5), origin=(-12.5, 30.25, 7.0)):
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(matrix, dtype=float) * spacing
    affine[:3, 3] = origin
    return affine


AFFINES = {
    "ras": affine_of(np.eye(3)),
    "lps": affine_of(np.diag([-1, -1, 1])),
    "sagittal": affine_of([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "coronal flipped": affine_of([[-1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "oblique": affine_of(rotation(12, -20, 33)),
    "oblique permuted": affine_of(rotation(10, 15, -8) @ np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]])),
}
SHEARED = affine_of(rotation(5, 5, 5) @ np.array([[1, 0, 0.1], [0, 1, 0], [0, 0, 1]]))


def save_nifti(path, array, affine, code=1):
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code, strip_shears=True)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
@pytest.mark.parametrize("orientation", [*AFFINES, "sheared"])
def test_nifti_labels_land_where_they_were_read(tmp_path, orientation, ending):
    affine = {**AFFINES, "sheared": SHEARED}[orientation]
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    source = save_nifti(tmp_path / f"in{ending}", labels, affine, code=2)
    read = read_labels(source)
    write_labels(tmp_path / f"out{ending}", read.array[0], read.geometry)
    before, after = nib.load(source), nib.load(tmp_path / f"out{ending}")
    assert (np.asanyarray(after.dataobj) == labels).all()
    assert after.get_data_dtype() == np.uint8
    for field in (
        "pixdim",
        "srow_x",
        "srow_y",
        "srow_z",
        "qform_code",
        "sform_code",
        "quatern_b",
        "qoffset_x",
        "xyzt_units",
    ):
        assert (after.header[field] == before.header[field]).all(), field
    if orientation != "sheared":  # SimpleITK refuses those
        images = [sitk.ReadImage(str(path)) for path in (source, tmp_path / f"out{ending}")]
        assert images[0].GetDirection() == images[1].GetDirection()
        assert images[0].GetOrigin() == images[1].GetOrigin()
        assert images[0].GetSpacing() == images[1].GetSpacing()


@pytest.mark.parametrize("orientation", AFFINES)
def test_one_body_in_any_orientation_is_the_same_array(tmp_path, orientation):
    """A corner voxel and a gradient placed by world coordinates come out at the same place of the LPS array."""
    affine = AFFINES[orientation]
    positions = np.einsum("ij,j...->i...", affine[:3, :3], np.indices((4, 5, 6))) + affine[:3, 3][:, None, None, None]
    image = read_image(save_nifti(tmp_path / "x.nii.gz", positions[0].astype(np.float32), affine))
    assert (np.diff(image.array[0], axis=2) < 0).all()  # x of RAS falls as LPS x grows
    image = read_image(save_nifti(tmp_path / "z.nii.gz", positions[2].astype(np.float32), affine))
    assert (np.diff(image.array[0], axis=0) > 0).all()


@pytest.mark.parametrize("orientation", AFFINES)
@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_nibabel_and_simpleitk_readings_agree(tmp_path, orientation, ending):
    array = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
    source = save_nifti(tmp_path / "in.nii.gz", array, AFFINES[orientation])
    sitk.WriteImage(sitk.ReadImage(str(source)), str(tmp_path / f"in{ending}"))
    one, other = read_image(source), read_image(tmp_path / f"in{ending}")
    assert (one.array == other.array).all()
    assert one.array.dtype == np.float32
    assert np.allclose(one.spacing_mm, other.spacing_mm, rtol=1e-6)
    assert np.allclose(one.geometry.origin, other.geometry.origin, atol=1e-4)
    assert np.allclose(one.geometry.direction, other.geometry.direction, atol=1e-6)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_simpleitk_labels_keep_the_exact_header(tmp_path, ending):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 300, (4, 5, 6)).astype(np.int16))
    image.SetSpacing((0.1, 0.7, 3.3))
    image.SetOrigin((-1.1, 2.2, 3.3))
    image.SetDirection((rotation(20, 0, 5) @ np.diag([-1, 1, -1])).ravel())
    sitk.WriteImage(image, str(tmp_path / f"in{ending}"))
    read = read_labels(tmp_path / f"in{ending}")
    write_labels(tmp_path / f"out{ending}", read.array[0], read.geometry)
    before, after = (sitk.ReadImage(str(tmp_path / f"{name}{ending}")) for name in ("in", "out"))
    assert (sitk.GetArrayFromImage(after) == sitk.GetArrayFromImage(before)).all()
    assert after.GetPixelID() == sitk.sitkUInt16
    rounding = 1e-15 if ending == ".nrrd" else 0  # NRRD stores spacing * direction
    assert after.GetOrigin() == before.GetOrigin()
    assert after.GetSpacing() == pytest.approx(before.GetSpacing(), rel=rounding, abs=rounding)
    assert after.GetDirection() == pytest.approx(before.GetDirection(), rel=rounding, abs=rounding)


def test_labels_of_one_format_can_be_written_in_another(tmp_path):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8))
    image.SetSpacing((0.5, 0.75, 3.0))
    image.SetOrigin((-1, 2, 3))
    image.SetDirection(np.diag([-1.0, 1.0, -1.0]).ravel())
    sitk.WriteImage(image, str(tmp_path / "in.mhd"))
    read = read_labels(tmp_path / "in.mhd")
    write_labels(tmp_path / "out.nii.gz", read.array[0], read.geometry)
    written = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert (sitk.GetArrayFromImage(written) == sitk.GetArrayFromImage(image)).all()
    assert np.allclose(written.GetDirection(), image.GetDirection())
    assert np.allclose(written.GetOrigin(), image.GetOrigin())
    assert np.allclose(written.GetSpacing(), image.GetSpacing())


def test_fourth_axis_is_the_channels(tmp_path):
    array = np.random.default_rng(0).random((4, 5, 6, 2)).astype(np.float32)
    source = save_nifti(tmp_path / "in.nii.gz", array, AFFINES["lps"])
    assert (read_image(source).array == array.transpose(3, 2, 1, 0)).all()
    assert (read_header(source).channels, read_header(source).shape) == (2, (6, 5, 4))
    sitk.WriteImage(sitk.GetImageFromArray(array.transpose(2, 1, 0, 3), isVector=True), str(tmp_path / "in.mha"))
    sitk.WriteImage(
        sitk.JoinSeries([sitk.GetImageFromArray(array[..., c].T) for c in (0, 1)]), str(tmp_path / "in.nrrd")
    )
    for name in ("in.mha", "in.nrrd"):
        assert (read_image(tmp_path / name).array == array.transpose(3, 2, 1, 0)).all()
        assert read_header(tmp_path / name).channels == 2


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 1, 2)])
def test_flat_nifti_is_a_2d_image(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8)
    source = save_nifti(tmp_path / "in.nii.gz", array, np.diag([-0.5, -0.25, 1.0, 1.0]))
    image = read_image(source)
    assert image.array.shape == (shape[3] if len(shape) == 4 else 1, 5, 4)
    assert image.spacing_mm == (0.25, 0.5)
    assert (image.array[0] == array.reshape(4, 5, -1)[..., 0].T).all()
    write_labels(tmp_path / "out.nii.gz", image.array[0].astype(int), image.geometry)
    assert nib.load(tmp_path / "out.nii.gz").shape == shape[:3]


def test_2d_images_of_simpleitk(tmp_path):
    image = sitk.GetImageFromArray(np.arange(20, dtype=np.uint8).reshape(4, 5))
    image.SetSpacing((0.5, 0.25))
    for ending in (".mha", ".nrrd", ".nii.gz"):
        sitk.WriteImage(image, str(tmp_path / f"in{ending}"))
        read = read_labels(tmp_path / f"in{ending}")
        assert (read.array[0] == np.arange(20).reshape(4, 5)).all()
        assert read.spacing_mm == (0.25, 0.5)
        write_labels(tmp_path / f"out{ending}", read.array[0], read.geometry)
        written = sitk.ReadImage(str(tmp_path / f"out{ending}"))
        assert (written.GetSize(), written.GetSpacing()) == (image.GetSize(), image.GetSpacing())


def test_scaled_rgb_and_micrometre_nifti(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), AFFINES["lps"])
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii.gz")
    assert read_image(tmp_path / "scaled.nii.gz").array.max() == 23 * 0.5 + 10
    colours = np.zeros((2, 3, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["G"] = 7
    nib.save(nib.Nifti1Image(colours, AFFINES["lps"]), tmp_path / "rgb.nii.gz")
    assert read_image(tmp_path / "rgb.nii.gz").array.mean(axis=(1, 2, 3)).tolist() == [0, 7, 0]
    assert read_header(tmp_path / "rgb.nii.gz").channels == 3
    microns = nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([500.0, 500, 2000, 1]))
    microns.header.set_xyzt_units("micron")
    nib.save(microns, tmp_path / "microns.nii.gz")
    assert read_header(tmp_path / "microns.nii.gz").spacing_mm == (2.0, 0.5, 0.5)


def test_a_useless_sform_falls_back_on_the_qform_with_a_word(tmp_path, caplog):
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), AFFINES["lps"])
    image.set_sform(np.zeros((4, 4)), 1)
    image.set_qform(AFFINES["lps"], 1)
    nib.save(image, tmp_path / "in.nii.gz")
    assert np.allclose(read_header(tmp_path / "in.nii.gz").spacing_mm, (2.5, 1.1, 0.7))
    assert "in.nii.gz" in caplog.text


def test_a_useless_qform_does_not_matter_where_there_is_an_sform(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), AFFINES["lps"])
    image.header["quatern_b"] = image.header["quatern_c"] = 5
    image.header["qform_code"] = 1
    nib.save(image, tmp_path / "in.nii.gz")
    assert np.allclose(read_header(tmp_path / "in.nii.gz").spacing_mm, (2.5, 1.1, 0.7))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".tif"])
def test_arrays_belong_to_the_caller(tmp_path, ending):
    """They can be changed, and do not hang on the file."""
    shape = (5, 6) if ending == ".tif" else (4, 5, 6)
    write_volume(tmp_path / f"in{ending}", np.ones(shape), plain_geometry(shape))
    array = read_image(tmp_path / f"in{ending}").array
    (tmp_path / f"in{ending}").write_bytes(b"")
    array += 1
    assert (array == 2).all()


def test_nifti_2_and_vector_images(tmp_path):
    array = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    nib.save(nib.Nifti2Image(array, AFFINES["lps"]), tmp_path / "two.nii.gz")
    assert (read_image(tmp_path / "two.nii.gz").array[0] == array.T).all()
    assert read_header(tmp_path / "two.nii.gz").shape == (6, 5, 4)
    vectors = np.random.default_rng(0).random((6, 5, 4, 2))
    sitk.WriteImage(sitk.GetImageFromArray(vectors, isVector=True), str(tmp_path / "vector.nii.gz"))
    assert np.allclose(read_image(tmp_path / "vector.nii.gz").array, np.moveaxis(vectors, -1, 0))
    assert read_header(tmp_path / "vector.nii.gz").channels == 2


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
        assert (header.channels, header.shape, header.ndim) == (channels, (6, 5), 2)


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
    with pytest.raises(InputError, match="planes"):
        read_image(tmp_path / "planes.tif")


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


def test_endings():
    assert split_ending("a/b.c.nii.gz") == ("b.c", ".nii.gz")
    assert split_ending(Path("IMAGE.PNG")) == ("IMAGE", ".png")
    assert [output_ending(e) for e in (".nii.gz", ".dcm", ".jpeg", ".tif")] == [".nii.gz", ".nii.gz", ".png", ".tif"]
    assert output_ending(split_ending("dicom/patient.5")[1]) == ".nii.gz"  # a folder's name
    assert [volume_ending(e) for e in (".mha", ".dcm", ".jpg", ".png")] == [".mha", ".nii.gz", ".tif", ".tif"]


def test_label_types_and_limits(tmp_path):
    geometry = plain_geometry((2, 3))
    for high, expected in ((255, np.uint8), (256, np.uint16)):
        write_labels(tmp_path / "out.nii.gz", np.full((2, 3), high), geometry)
        assert nib.load(tmp_path / "out.nii.gz").get_data_dtype() == expected
        assert (read_labels(tmp_path / "out.nii.gz").array == high).all()
    for wrong in (np.full((2, 3), -1), np.full((2, 3), 70000), np.zeros((2, 3)), np.zeros((3, 2), int)):
        with pytest.raises(ValueError, match="Labels|shape"):
            write_labels(tmp_path / "out.nii.gz", wrong, geometry)
    with pytest.raises(InputError, match="bmp"):
        write_labels(tmp_path / "out.bmp", np.full((2, 3), 256), geometry)


def test_float_labels(tmp_path):
    whole = save_nifti(tmp_path / "whole.nii.gz", np.array([[[0.0, 1.0, 2.00001]]], np.float32), np.eye(4))
    assert sorted(read_labels(whole).array.ravel()) == [0, 1, 2]
    assert read_labels(whole).array.dtype == np.int16
    broken = save_nifti(tmp_path / "broken.nii.gz", np.array([[[0, 0.5, np.nan, 1]]], np.float32), np.eye(4))
    with pytest.raises(InputError, match=r"broken\.nii\.gz.*0\.5, nan.*nearest neighbour"):
        read_labels(broken)


def test_volumes_are_float32(tmp_path):
    values = np.random.default_rng(0).random((4, 5, 6))
    write_volume(tmp_path / "out.nii.gz", values, plain_geometry((4, 5, 6)))
    assert (read_image(tmp_path / "out.nii.gz").array[0] == values.astype(np.float32)).all()
    write_volume(tmp_path / "out.tif", values[0], plain_geometry((5, 6)))
    assert (read_image(tmp_path / "out.tif").array[0] == values[0].astype(np.float32)).all()
    with pytest.raises(InputError, match="png"):
        write_volume(tmp_path / "out.png", values[0], plain_geometry((5, 6)))


def test_several_files_are_channels_in_order(tmp_path, caplog):
    for number in range(2):
        save_nifti(tmp_path / f"c_{number:04d}.nii.gz", np.full((4, 5, 6), number, np.uint8), AFFINES["ras"])
    files = [tmp_path / "c_0001.nii.gz", tmp_path / "c_0000.nii.gz"]
    image = read_image(files)
    assert image.array.shape == (2, 6, 5, 4)
    assert image.array[:, 0, 0, 0].tolist() == [1, 0]
    assert read_header(files).channels == 2
    assert not caplog.messages
    save_nifti(tmp_path / "moved.nii.gz", np.zeros((4, 5, 6), np.uint8), affine_of(np.eye(3), origin=(0, 0, 0)))
    read_image([files[0], tmp_path / "moved.nii.gz"])
    assert "moved.nii.gz: origin differs" in caplog.text
    save_nifti(tmp_path / "small.nii.gz", np.zeros((4, 5, 5), np.uint8), AFFINES["ras"])
    with pytest.raises(InputError, match=r"small\.nii\.gz: shape differs"):
        read_image([files[0], tmp_path / "small.nii.gz"])


def _bad_file(tmp_path, ending):
    rng = np.random.default_rng(0)
    good = tmp_path / f"good{ending}"
    if ending in (".png", ".tif", ".jpg", ".bmp"):
        PillowImage.fromarray(rng.integers(0, 255, (60, 50)).astype(np.uint8)).save(good)
    elif ending.startswith(".nii"):
        save_nifti(good, rng.integers(0, 255, (20, 20, 20)).astype(np.int16), np.eye(4))
    else:
        sitk.WriteImage(sitk.GetImageFromArray(rng.integers(0, 255, (20, 20, 20)).astype(np.int16)), str(good))
    return good.read_bytes()


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd", ".png", ".tif", ".jpg", ".bmp"])
def test_bad_files_are_named_with_a_remedy(tmp_path, ending):
    content = _bad_file(tmp_path, ending)
    bad = tmp_path / f"bad{ending}"
    for damaged in (content[: len(content) // 2], b"no image", b""):
        bad.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"bad\{ending}.*(again|header)"):
            read_image(bad)
    with pytest.raises(InputError, match=r"absent.*does not exist"):
        read_image(tmp_path / f"absent{ending}")


def test_a_flipped_bit_in_a_compressed_file_is_found(tmp_path):
    content = bytearray(_bad_file(tmp_path, ".nii.gz"))
    content[-6] ^= 1  # in the checksum
    (tmp_path / "bad.nii.gz").write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"bad\.nii\.gz.*again"):
        read_image(tmp_path / "bad.nii.gz")


def test_other_formats_and_no_files_are_input_errors(tmp_path):
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.txt.*\.nii\.gz.*found \.txt"):
        read_image(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="none"):
        read_image([])


def test_complex_images_are_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(InputError, match=r"complex\.nii.*magnitude"):
        read_image(tmp_path / "complex.nii")


@pytest.mark.parametrize("ending", [".nii.gz", ".mha", ".mhd", ".nrrd"])
def test_non_ascii_paths(tmp_path, ending):
    path = tmp_path / "Größe 图像" / f"Fälle ñ{ending}"
    write_labels(path, np.ones((2, 3, 4), int), plain_geometry((2, 3, 4)))
    assert read_labels(path).array.sum() == 24
    assert read_header(path).shape == (2, 3, 4)
    assert {file.name.split(".")[0] for file in path.parent.iterdir()} == {"Fälle ñ"}  # nothing temporary is left


def test_same_labels_give_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_labels(tmp_path / name, np.ones((2, 3, 4), int), plain_geometry((2, 3, 4)))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_labels(tmp_path / "out.nii.gz", np.ones((2, 3, 4), int), plain_geometry((2, 3, 4)))
    with pytest.raises(ValueError, match="Labels"):
        write_labels(tmp_path / "out.nii.gz", np.full((2, 3, 4), 0.5), plain_geometry((2, 3, 4)))
    assert read_labels(tmp_path / "out.nii.gz").array.sum() == 24


def test_the_header_of_a_compressed_file_needs_only_its_start(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (64, 64, 64)).astype(np.uint8)
    source = save_nifti(tmp_path / "in.nii.gz", array, AFFINES["oblique"])
    expected = read_image(source).geometry
    source.write_bytes(source.read_bytes()[:40000])
    assert read_header(source).geometry == expected


def test_shared_hippocampus_is_fast_and_agrees_with_simpleitk(shared_data):
    files = sorted((shared_data / "Task04_Hippocampus" / "imagesTr").glob("*.nii.gz"))
    start = time.perf_counter()
    images = [read_image(file) for file in files]
    assert time.perf_counter() - start < 10  # 0.6 s on an idle machine
    other = sitk.DICOMOrient(sitk.ReadImage(str(files[0])), "LPS")
    assert (images[0].array[0] == sitk.GetArrayFromImage(other)).all()


def test_missing_simpleitk_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "in.mha").write_bytes(gzip.compress(b""))
    with pytest.raises(InputError, match=r"in\.mha.*pip install SimpleITK"):
        read_image(tmp_path / "in.mha")


BLOCKED = ("torch", "scipy", "SimpleITK", "monai", "pandas", "skimage", "sklearn", "batchgenerators", "blosc2", "rich")
IMPORT_ALL = f"""
import importlib, pkgutil, sys
for name in {BLOCKED}:
    sys.modules[name] = None  # importing it fails, as on a machine without it
import mednca_runtime
for module in pkgutil.walk_packages(mednca_runtime.__path__, "mednca_runtime."):
    importlib.import_module(module.name)
loaded = [name for name in {BLOCKED} if sys.modules[name] is not None]
assert not loaded, loaded
"""


def test_the_runtime_can_be_imported_without_torch_and_the_other_libraries():
    environment = {**os.environ, "PYTHONPATH": str(Path(mednca_runtime.__path__[0]).parent)}
    subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True, env=environment)


def test_the_runtime_names_only_numpy_nibabel_and_pillow_at_import():
    allowed = set(sys.stdlib_module_names) | {"numpy", "nibabel", "PIL"}
    modules = [Path(info.module_finder.path) / info.name.rsplit(".", 1)[-1] for info in _modules()]
    assert len(modules) > 5
    for module in modules:
        file = module.with_suffix(".py") if module.with_suffix(".py").exists() else module / "__init__.py"
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.split(".")[0] for name in names} <= allowed, file


def _modules():
    return list(pkgutil.walk_packages(mednca_runtime.__path__, "mednca_runtime."))


def test_stored_files_are_those_with_the_voxels(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8))
    for name, compressed in (("plain.mhd", False), ("packed.mhd", True), ("one.mha", False)):
        sitk.WriteImage(image, str(tmp_path / name), useCompression=compressed)
    for name, voxels in (("plain.mhd", ["plain.raw"]), ("packed.mhd", ["packed.zraw"]), ("one.mha", [])):
        assert stored_files(tmp_path / name) == [tmp_path / part for part in (name, *voxels)]
    (tmp_path / "plain.raw").unlink()
    assert stored_files(tmp_path / "plain.mhd") == [tmp_path / "plain.mhd"]
    (tmp_path / "series" / "deep").mkdir(parents=True)
    files = [tmp_path / "series" / "b.dcm", tmp_path / "series" / "deep" / "a.dcm"]
    for file in files:
        file.write_bytes(b"")
    assert stored_files(tmp_path / "series") == files
