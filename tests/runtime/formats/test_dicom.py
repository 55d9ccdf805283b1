"""DICOM series made here by SimpleITK: found, named, chosen, read, and refused where slices are not even."""

import logging

import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.formats.dicom import read_series
from mednca_pipeline.runtime.formats.dicom_series import find_series
from mednca_pipeline.runtime.geometry import SpacingError
from mednca_pipeline.runtime.images import output_ending, read_header, read_image, write_labels

from ...dicom_series import PATIENT, UID, write_series

sitk = pytest.importorskip("SimpleITK")


def test_a_series_is_read_in_lps(tmp_path):
    expected = write_series(tmp_path / "scan")
    (series,) = find_series(tmp_path / "scan")
    image = read_image(series.files)
    assert image.array.dtype == np.float32
    assert (image.array[0] == expected).all()
    assert image.spacing_mm == (3.0, 0.25, 0.5)
    assert np.allclose(image.geometry.origin, (-10, -20, 0))
    assert np.allclose(image.geometry.direction, np.eye(3)[:, ::-1])
    assert (read_image(tmp_path / "scan").array == image.array).all()
    assert read_header(series.files).geometry == image.geometry
    assert (read_series(series.files[::-1])[0] == image.array).all()  # the order of the files does not count


def test_folders_of_series_are_channels_in_order(tmp_path):
    expected = write_series(tmp_path / "t1")
    write_series(tmp_path / "t2", uid=f"{UID}.2", positions=(9, 6, 3, 0))  # the other way up
    assert (read_image([tmp_path / "t1"]).array == expected[None]).all()
    both = [tmp_path / "t2", tmp_path / "t1"]
    assert (read_image(both).array == np.stack([expected[::-1], expected])).all()
    assert read_header(both).channels == 2


def test_slices_are_sorted_by_place_not_by_name(tmp_path):
    expected = write_series(tmp_path, positions=(9, 6, 3, 0))
    image = read_image(tmp_path)
    assert (image.array[0] == expected[::-1]).all()
    assert image.geometry.origin[2] == 0


def test_sagittal_series_is_turned_to_lps(tmp_path):
    expected = write_series(tmp_path, ((0, 5, 9), (2, 5, 9), (4, 5, 9)), orientation=(0, 1, 0, 0, 0, -1))
    image = read_image(tmp_path)  # rows run to posterior, columns to inferior, slices to the left
    assert image.array.shape == (1, 4, 5, 3)
    assert (image.array[0] == expected.transpose(1, 2, 0)[::-1]).all()
    assert image.spacing_mm == (0.25, 0.5, 2.0)


def test_labels_of_a_series_are_nifti_at_the_same_place(tmp_path):
    write_series(tmp_path / "scan")
    image = read_image(tmp_path / "scan")
    write_labels(tmp_path / f"out{output_ending('.dcm')}", image.array[0].astype(int) % 7, image.geometry)
    written = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "scan")))
    original = reader.Execute()
    assert (sitk.GetArrayFromImage(written) == sitk.GetArrayFromImage(original) % 7).all()
    assert np.allclose(written.GetOrigin(), original.GetOrigin())
    assert np.allclose(written.GetSpacing(), original.GetSpacing())
    assert np.allclose(written.GetDirection(), original.GetDirection())


def test_rescaled_values_are_read(tmp_path):
    values = write_series(tmp_path, tags=(("0028|1052", "-1024"), ("0028|1053", "1")))
    assert (values[1] + 1024).astype("<i2").tobytes() in (tmp_path / "IM0001.dcm").read_bytes()
    assert (read_image(tmp_path).array[0] == values).all()


@pytest.mark.parametrize(
    ("positions", "text"),
    [
        ((0, 3, 9, 12), r"3 mm.*6 mm between IM0001\.dcm and IM0002\.dcm, so slices are missing"),
        ((0, 3, 6.1, 9), "unevenly spaced"),
        ((0, 3, 3, 6), "several"),
        (((0, 0, 0), (0, 0, 3), (0.1, 0, 6)), "unevenly spaced"),
    ],
)
def test_uneven_slices_are_named(tmp_path, positions, text):
    write_series(tmp_path / "case7", positions)
    with pytest.raises(InputError, match=rf"(?s)case7.*{text}"):
        read_image(tmp_path / "case7")


def test_one_percent_is_tolerated(tmp_path):
    write_series(tmp_path, positions=(0, 3, 6.02, 9.02))
    assert read_image(tmp_path).spacing_mm[0] == pytest.approx(9.02 / 3)


def test_gantry_tilt_is_kept_as_a_shear(tmp_path):
    write_series(tmp_path, positions=((0, 0, 0), (0, 1, 3), (0, 2, 6)))
    image = read_image(tmp_path)
    assert np.allclose(image.geometry.file_affine[:3, 2], (0, 1, 3))
    assert image.spacing_mm[0] == pytest.approx(10**0.5)


def test_localisers_among_the_slices_are_refused(tmp_path):
    write_series(tmp_path / "case", uid=f"{UID}.1")
    write_series(tmp_path / "case", uid=f"{UID}.1", prefix="LOC", positions=(20,), orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(InputError, match=r"case.*one size and orientation"):
        read_image(tmp_path / "case")


def test_a_single_slice_is_2d(tmp_path):
    expected = write_series(tmp_path, positions=(7,))
    image = read_image(tmp_path / "IM0000.dcm")
    assert (image.array == expected).all()
    assert image.array.shape == (1, 4, 5)
    assert image.spacing_mm == (0.25, 0.5)


def test_multi_frame_is_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    image.SetMetaData("0010|0010", PATIENT)
    (tmp_path / "cine").mkdir()
    sitk.WriteImage(image, str(tmp_path / "cine" / "IM1.dcm"))
    with pytest.raises(InputError, match=r"cine.*multi-frame file of 3 frames \(IM1\.dcm\).*single-frame"):
        read_image(tmp_path / "cine")


def test_colour_series_has_three_channels(tmp_path):
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "us.dcm"))
    read = read_image(tmp_path / "us.dcm")
    assert (read.array == np.arange(60).reshape(4, 5, 3).transpose(2, 0, 1)).all()


def test_damaged_files_are_named(tmp_path):
    write_series(tmp_path / "case")
    file = tmp_path / "case" / "IM0002.dcm"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=r"case.*IM0002\.dcm"):
        read_image(sorted((tmp_path / "case").iterdir()))
    with pytest.raises(InputError, match="no such file"):
        read_image([file, tmp_path / "absent.dcm"])


def test_no_patient_tag_gets_out(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    write_series(tmp_path / "even", uid=f"{UID}.1")
    write_series(tmp_path / "uneven", uid=f"{UID}.2", positions=(0, 3, 9))
    texts = [str(series) + series.name for series in find_series(tmp_path)]
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "uneven")
    image = read_image(tmp_path / "even")
    write_labels(tmp_path / "out.nii", image.array[0].astype(int), image.geometry)
    texts += [str(error.value), str(image.geometry), caplog.text, *capfd.readouterr()]
    content = (tmp_path / "out.nii").read_bytes()
    for secret in ("Doe", "Jane", "4711"):
        assert not any(secret in text for text in texts)
        assert secret.encode() not in content


def test_an_image_whose_zero_is_white_is_read_as_it_is_shown(tmp_path):
    image = sitk.GetImageFromArray(np.arange(20, dtype=np.uint16).reshape(1, 4, 5))
    image.SetMetaData("0028|0004", "MONOCHROME2")
    sitk.WriteImage(image, str(tmp_path / "dark.dcm"))
    dark = (tmp_path / "dark.dcm").read_bytes()
    (tmp_path / "white.dcm").write_bytes(dark.replace(b"MONOCHROME2 ", b"MONOCHROME1 "))
    assert (read_image(tmp_path / "white.dcm").array == 65535 - read_image(tmp_path / "dark.dcm").array).all()


def copied(folder, *copies):
    """Copies of slices under other names: (slice's number, name)."""
    for number, name in copies:
        (folder / name).write_bytes((folder / f"IM{number:04d}.dcm").read_bytes())


def test_slices_that_were_exported_twice_are_named_as_copies(tmp_path):
    write_series(tmp_path / "series")
    copied(tmp_path / "series", (1, "IM0001 (1).dcm"))
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "series")
    assert error.value.expected == "each slice once"
    assert error.value.found == "the same slice twice: IM0001 (1).dcm is a copy of IM0001.dcm"
    assert error.value.remedy == "Remove the copies: IM0001 (1).dcm."
    (tmp_path / "series" / "IM0001 (1).dcm").unlink()
    assert read_image(tmp_path / "series").array.shape[1] == 4


def test_a_whole_series_that_was_exported_twice_names_every_copy(tmp_path):
    write_series(tmp_path / "series")
    copied(tmp_path / "series", *((number, f"IM{number:04d}_copy.dcm") for number in range(4)))
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "series")
    assert error.value.found.startswith("4 files with the same pixels at the same place as others (copies: ")
    assert all(f"IM{number:04d}_copy.dcm" in error.value.remedy for number in range(4))
    assert "IM0000.dcm" not in error.value.remedy.replace("IM0000_copy.dcm", "")


def test_two_slices_at_one_place_with_other_pixels_are_several_volumes(tmp_path):
    write_series(tmp_path / "series", positions=(0, 3, 3, 6))
    with pytest.raises(InputError, match=r"several with other pixels \(IM0001\.dcm, IM0002\.dcm\).*several volumes"):
        read_image(tmp_path / "series")


def with_spacing(file, text):
    """Another PixelSpacing, in as many bytes."""
    content = file.read_bytes()
    assert content.count(b".25\\.5") == 1
    file.write_bytes(content.replace(b".25\\.5", text.encode().ljust(6)))


@pytest.mark.parametrize(
    ("text", "said"), [("0\\0", "spacing 0 mm"), ("-1\\.5", "spacing -1 mm"), ("0.5", "1 numbers")]
)
def test_a_pixel_spacing_that_cannot_be_is_not_taken_as_1_mm(tmp_path, text, said):
    write_series(tmp_path / "series")
    for file in (tmp_path / "series").iterdir():
        with_spacing(file, text)
    with pytest.raises(SpacingError, match=rf"series.*{said}"):
        read_image(tmp_path / "series")


def test_slices_of_another_pixel_spacing_are_named(tmp_path):
    write_series(tmp_path / "series")
    with_spacing(tmp_path / "series" / "IM0002.dcm", ".5\\.5")
    with pytest.raises(InputError, match=r"one pixel spacing, such as 0\.5 x 0\.25 mm of IM0000\.dcm.*IM0002\.dcm"):
        read_image(tmp_path / "series")


def test_slices_without_any_pixel_spacing_are_taken_as_1_mm_with_a_word(tmp_path, caplog):
    write_series(tmp_path / "series")
    for file in (tmp_path / "series").iterdir():
        file.write_bytes(file.read_bytes().replace(b"\x28\x00\x30\x00", b"\x28\x00\x2f\x00"))  # another tag
    assert read_image(tmp_path / "series").spacing_mm[1:] == (1.0, 1.0)
    assert "series: no pixel spacing in its files" in caplog.text
