"""What is told about endings, types and bad files of images, and how files are written."""

import gzip
import sys
import time
from pathlib import Path

import nibabel as nib
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
    split_ending,
    stored_files,
    volume_ending,
    write_labels,
    write_volume,
)

from ..nifti_files import AFFINES, affine_of, save_nifti

sitk = pytest.importorskip("SimpleITK")


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
    assert "moved.nii.gz: expected origin (" in caplog.text
    save_nifti(tmp_path / "small.nii.gz", np.zeros((4, 5, 5), np.uint8), AFFINES["ras"])
    with pytest.raises(InputError, match=r"small\.nii\.gz: expected shape .* of c_0001"):
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
    with pytest.raises(InputError, match="absent.*no such file"):
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
    with pytest.raises(InputError, match=r"in\.mha.*mednca_pipeline\[formats\]"):
        read_image(tmp_path / "in.mha")


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
