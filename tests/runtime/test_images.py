"""Volumes in every format but DICOM, read and written: values and geometry."""

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.runtime.geometry import plain_geometry
from mednca_pipeline.runtime.images import (
    read_header,
    read_image,
    read_labels,
    write_labels,
    write_volume,
)

from ..nifti_files import AFFINES, SHEARED, rotation, save_nifti

sitk = pytest.importorskip("SimpleITK")


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
