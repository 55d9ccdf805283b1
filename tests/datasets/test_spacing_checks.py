"""Spacings of a dataset: those that no image can have, those in another unit, and those far from the others."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.datasets.check import check_dataset
from mednca_pipeline.datasets.dataset import load_dataset

from .raw_folders import describe, image_array, label_array, make_raw, save


def save_case(folder, case, spacing, seed=0, units=2):
    """Image and label of `spacing` (x, y, z) in `units` of NIfTI (1 metre, 2 mm, 3 micrometre)."""
    for place, array in (("imagesTr", image_array(seed)), ("labelsTr", label_array())):
        image = nib.Nifti1Image(array, np.diag([*spacing, 1.0]))
        image.header["xyzt_units"] = units
        suffix = "_0000" if place == "imagesTr" else ""
        nib.save(image, folder / place / f"{case}{suffix}.nii.gz")


def findings(folder):
    return check_dataset(load_dataset(folder)).findings


@pytest.fixture
def folder(tmp_path):
    """Four cases of 0.9 to 1.2 mm along x and y, and 2 mm along z."""
    folder = make_raw(tmp_path / "Dataset001_Spaced", cases=("a", "b", "c", "d"))
    for seed, (case, value) in enumerate(zip("abcd", (0.9, 1.0, 1.1, 1.2), strict=True)):
        save_case(folder, case, (value, value, 2.0), seed)
    return folder


def test_spacings_that_vary_as_they_do_are_fine(folder):
    assert findings(folder) == ()
    save_case(folder, "a", (1.0, 1.0, 20.0), 0)  # ten times thicker slices
    assert findings(folder) == ()


@pytest.mark.parametrize("value", [200.0, 42.0, 0.05])
def test_a_spacing_twenty_times_off_the_median_is_named_with_axis_value_and_range(folder, value):
    save_case(folder, "b", (1.0, 1.0, value), 1)
    (found,) = findings(folder)
    assert (found.severity, found.case, found.file.name) == ("fatal", "b", "b_0000.nii.gz")
    assert found.found == f"spacing z {value:g} mm"
    assert found.expected == "z 2 mm, as the 3 other cases have"
    assert found.remedy == "Correct the spacing in the header (NIfTI: pixdim and srow), or leave this case out."


def test_a_header_in_metres_whose_numbers_say_mm(folder):
    save_case(folder, "c", (1.1, 1.1, 2.0), 2, units=1)
    (found,) = findings(folder)
    assert found.found == "spacing z 2000 mm, y 1100 mm, x 1100 mm, as the header is in metres"
    assert found.expected == "z 2 mm, y 0.9 to 1.2 mm, x 0.9 to 1.2 mm, as the 3 other cases have"
    assert "xyzt_units" in found.remedy and "not metres" in found.remedy
    save_case(folder, "c", (0.0011, 0.0011, 0.002), 2, units=1)  # metres that are meant
    assert findings(folder) == ()
    save_case(folder, "c", (1.1, 1.1, 2.0), 2, units=3)
    (found,) = findings(folder)
    assert found.found == "spacing z 0.002 mm, y 0.0011 mm, x 0.0011 mm, as the header is in micrometres"


def test_a_whole_dataset_in_metres_has_no_median_to_hide_behind(folder):
    for seed, case in enumerate("abcd"):
        save_case(folder, case, (1.0, 1.0, 2.0), seed, units=1)
    found = findings(folder)
    assert [(one.severity, one.case) for one in found] == [("fatal", case) for case in "abcd"]
    assert {one.expected for one in found} == {"less than 100 mm along each axis"}
    assert all('"spacing_known": false' in one.remedy for one in found)
    describe(folder, spacing_known=False, numTraining=4)
    assert findings(folder) == ()


def test_two_cases_that_differ_are_both_named(tmp_path):
    folder = make_raw(tmp_path / "Dataset001_Two", cases=("a", "b"))
    save_case(folder, "b", (50.0, 1.0, 1.0), 10)
    assert [(one.case, one.found, one.expected) for one in findings(folder)] == [
        ("a", "spacing x 1 mm", "x 50 mm, as the other case has"),
        ("b", "spacing x 50 mm", "x 1 mm, as the other case has"),
    ]
    save_case(folder, "b", (1000.0, 1.0, 1.0), 10)  # which cannot be mm, so it alone is wrong
    assert [(one.case, one.expected) for one in findings(folder)] == [("b", "x 1 mm, as the other case has")]


@pytest.mark.parametrize("value", [0.0, -2.0, np.nan])
def test_a_spacing_that_cannot_be_read_is_named_with_those_of_the_others(folder, value):
    plain = nib.Nifti1Image(image_array(3), None)
    plain.header.set_zooms((1.0, 1.0, 2.0))
    nib.save(plain, folder / "plain.nii")
    content = bytearray((folder / "plain.nii").read_bytes())
    content[88:92] = np.array(value, "<f4").tobytes()
    (folder / "plain.nii").unlink()
    (folder / "imagesTr" / "d_0000.nii.gz").write_bytes(gzip.compress(bytes(content)))
    (found,) = findings(folder)
    assert (found.severity, found.file.name) == ("fatal", "d_0000.nii.gz")
    assert found.found == f"pixdim {value:g} along axis 3 of the file"
    expected = "z 2 mm, y 0.9 to 1.1 mm, x 0.9 to 1.1 mm, as the 3 other cases have"
    assert found.expected == f"a positive spacing along each axis: {expected}"


def test_a_test_image_far_off_is_a_warning(folder):
    save(folder / "imagesTs" / "t_0000.nii.gz", image_array(9), np.diag([1.0, 1.0, 1000.0, 1.0]))
    (found,) = findings(folder)
    assert (found.severity, found.case, found.found) == ("warning", "t", "spacing z 1000 mm")
    assert found.expected == "z 2 mm, as the 4 other cases have"


def test_images_too_small_for_mm_are_one_warning(folder):
    for seed, case in enumerate("abcd"):
        save_case(folder, case, (1.0, 1.0, 2.0), seed, units=3)
    (found,) = findings(folder)
    assert found.severity == "warning"
    assert found.found == (
        "an image of 0.008 x 0.005 x 0.006 mm, as the header is in micrometres (4 of 4 images are so small)"
    )
