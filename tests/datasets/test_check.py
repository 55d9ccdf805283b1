import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.datasets.case_checks import check_arrays
from mednca_pipeline.datasets.check import check_dataset
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.fingerprint.extract import check_and_extract
from mednca_pipeline.runtime.images import read_image, read_labels, write_labels

from ..dicom_series import write_series
from .raw_folders import LABELS, SHAPE_XYZ, affine, describe, image_array, label_array, make_raw, save


def _check(folder, **options):
    return check_dataset(load_dataset(folder), **options)


def _only(folder, severity="fatal"):
    """The one finding of the dataset."""
    findings = _check(folder).findings
    assert len(findings) == 1, findings
    assert findings[0].severity == severity
    assert all((findings[0].found, findings[0].expected, findings[0].remedy))
    return findings[0]


@pytest.fixture
def folder(tmp_path):
    return make_raw(tmp_path / "Dataset001_Prüfung")


def test_nothing_is_found_in_a_good_dataset(folder):
    report = _check(folder)
    assert report.findings == () and report.fatal == ()


def test_a_missing_label(folder):
    (folder / "labelsTr" / "b.nii.gz").unlink()
    found = _only(folder)
    assert (found.case, found.file) == ("b", folder / "labelsTr" / "b.nii.gz")
    assert found.expected == "the label of b_0000.nii.gz" and "imagesTs" in found.remedy


def test_a_label_without_an_image(folder):
    path = save(folder / "labelsTr" / "z.nii.gz", label_array())
    found = _only(folder)
    assert found.file == path and found.found == "a label without an image"
    assert found.expected == "imagesTr/z_0000.nii.gz"


def test_numtraining_that_does_not_fit_and_files_of_another_kind(folder):
    describe(folder, numTraining=5)
    (folder / "imagesTr" / "notes.txt").write_text("x", encoding="utf-8")
    report = _check(folder)
    assert not report.fatal
    assert [(found.file.name, found.found) for found in report.findings] == [
        ("dataset.json", "numTraining 5"),
        ("notes.txt", "a file ending in .txt"),
    ]


def test_a_missing_channel(tmp_path):
    folder = make_raw(tmp_path / "d", channels=2)
    (folder / "imagesTr" / "b_0001.nii.gz").unlink()
    found = _only(folder)
    assert found.file.name == "b_0001.nii.gz" and "no such file" in found.found
    assert found.expected == "2: channel0, channel1"


def test_a_missing_channel_in_the_middle(tmp_path):
    folder = make_raw(tmp_path / "d", channels=3)
    (folder / "imagesTr" / "b_0001.nii.gz").unlink()
    found = _only(folder)
    assert found.file.name == "b_0001.nii.gz"
    assert found.found == "no such file, but b_0000.nii.gz, b_0002.nii.gz"


def test_a_channel_too_many(folder):
    path = save(folder / "imagesTr" / "b_0001.nii.gz", image_array(50))
    found = _only(folder)
    assert found.file == path and found.found == "2 files: b_0000.nii.gz, b_0001.nii.gz"
    assert found.expected == "1 channel: channel0"
    assert "b_0001_0000.nii.gz" in found.remedy  # numbered cases: the rename


def test_an_explicit_path_to_nothing(tmp_path):
    folder = make_raw(tmp_path / "d", cases=("a",))
    cases = {name: {"images": [f"imagesTr/{name}_0000.nii.gz"], "label": "labelsTr/a.nii.gz"} for name in "ab"}
    describe(folder, dataset=cases, numTraining=2)
    found = _only(folder)
    assert (found.case, found.file.name, found.found) == ("b", "b_0000.nii.gz", "no such file")
    assert "dataset.json" in found.remedy


def test_an_explicit_path_to_a_dicom_folder(tmp_path):
    expected = write_series(tmp_path / "scans" / "patient.1")
    image = read_image(tmp_path / "scans" / "patient.1")
    mask = np.zeros(image.geometry.shape, np.uint8)
    mask[1:3, 1:3, 1], mask[1:3, 1:3, 2:4] = 1, 2
    write_labels(tmp_path / "mask.nii.gz", mask, image.geometry)
    cases = {"a": {"images": ["../scans/patient.1"], "label": "../mask.nii.gz"}}
    dataset = load_dataset(describe(tmp_path / "d", dataset=cases, numTraining=1, allow_outside=True))
    assert check_dataset(dataset).findings == ()
    (found,) = check_and_extract(dataset)[1].cases
    assert (found.shape, found.spacing_mm) == ((4, 4, 5), (3.0, 0.25, 0.5))
    assert found.image[0].maximum == expected.max()
    assert {name: seen.extent for name, seen in found.classes.items()} == {"head": (2, 2, 1), "tail": (2, 2, 2)}
    cases = {"a": {"images": ["../scans/absent"], "label": "../mask.nii.gz"}}
    assert _only(describe(tmp_path / "d", dataset=cases, numTraining=1, allow_outside=True)).found == "no such file"


def test_unreadable_and_truncated_files_do_not_end_the_check(folder):
    (folder / "imagesTr" / "a_0000.nii.gz").write_bytes(b"nonsense")
    label = folder / "labelsTr" / "b.nii.gz"
    whole = gzip.decompress(label.read_bytes())
    label.write_bytes(gzip.compress(whole[:-50]))
    (folder / "labelsTr" / "c.nii.gz").write_bytes(b"")
    report = _check(folder)
    assert [(found.case, found.file.name) for found in report.fatal] == [
        ("a", "a_0000.nii.gz"),
        ("b", "b.nii.gz"),
        ("c", "c.nii.gz"),
    ]
    for found in report.fatal:
        assert found.found.startswith("a damaged or truncated file") and found.expected == "a readable image"
        assert "leave this case out" in found.remedy


def test_another_shape_of_the_label(folder):
    path = save(folder / "labelsTr" / "a.nii.gz", label_array((6, 5, 3)))
    found = _only(folder)
    assert found.file == path and found.found == "shape (3, 5, 6)"
    assert found.expected == "shape (4, 5, 6) of a_0000.nii.gz" and "nearest neighbour" in found.remedy


def test_another_spacing_of_the_label(folder):
    save(folder / "labelsTr" / "a.nii.gz", label_array(), affine(spacing=1.0005))
    assert _check(folder).findings == ()  # within the tolerance
    save(folder / "labelsTr" / "a.nii.gz", label_array(), affine(spacing=1.01))
    fatal = _check(folder).fatal
    assert [found.found for found in fatal] == ["spacing (1.01, 1.01, 1.01)"]
    assert "(tolerance 0.1 %)" in fatal[0].expected


def test_another_origin_is_a_warning_while_the_voxels_lie_alike(folder):
    save(folder / "labelsTr" / "a.nii.gz", label_array(), affine(origin=(0.05, 0, 0)))
    assert _check(folder).findings == ()
    save(folder / "labelsTr" / "a.nii.gz", label_array(), affine(origin=(3, 0, 0)))
    found = _only(folder, "warning")
    assert "origin" in found.found and "a_0000.nii.gz" in found.expected and "header" in found.remedy


def test_a_label_that_would_be_read_mirrored_is_fatal(folder):
    save(folder / "labelsTr" / "a.nii.gz", label_array(), affine(flipped=True))
    found = _only(folder)
    assert "origin" in found.found


def test_a_label_stored_in_another_axis_order_is_fine(folder):
    matrix = affine(flipped=True, origin=(SHAPE_XYZ[0] - 1, 0, 0))
    save(folder / "labelsTr" / "a.nii.gz", label_array()[::-1], matrix)
    assert _check(folder).findings == ()


def test_another_direction(folder):
    angle = np.deg2rad(5)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    save(folder / "labelsTr" / "a.nii.gz", label_array(), turned)
    findings = _check(folder).findings
    assert any(found.found.startswith("direction") and found.severity == "warning" for found in findings)


def test_channels_on_different_grids(tmp_path):
    folder = make_raw(tmp_path / "d", channels=2)
    path = save(folder / "imagesTr" / "a_0001.nii.gz", image_array(70), affine(spacing=2))
    other = save(folder / "imagesTr" / "b_0001.nii.gz", image_array(71, (6, 5, 3)))
    fatal = _check(folder).fatal
    assert [(found.file, found.found) for found in fatal] == [
        (path, "spacing (2, 2, 2)"),
        (other, "shape (3, 5, 6)"),
    ]


def test_label_values_that_are_not_declared(folder):
    labels = label_array()
    labels[0, 0, 0], labels[0, 0, 1] = 7, 9
    path = save(folder / "labelsTr" / "c.nii.gz", labels)
    found = _only(folder)
    assert (found.file, found.found) == (path, "label values 7, 9")
    assert found.expected == "only 0, 1, 2, as in dataset.json" and '"ignore"' in found.remedy


def test_white_masks_get_the_mapping_as_remedy(tmp_path):
    folder = make_raw(tmp_path / "d", labels={"background": 0, "head": 1})
    for case in "abc":
        save(folder / "labelsTr" / f"{case}.nii.gz", np.where(label_array() > 0, 255, 0).astype(np.uint8))
    fatal = [found for found in _check(folder).fatal if found.case]
    assert [found.found for found in fatal] == ["label value 255"] * 3
    assert "--map 255:1" in fatal[0].remedy


def test_labels_that_are_no_whole_numbers(folder):
    path = save(folder / "labelsTr" / "a.nii.gz", label_array().astype(np.float32) * 0.5)
    found = _only(folder)
    assert (found.file, found.expected, found.found) == (path, "whole numbers as labels", "0.5")
    assert "nearest neighbour" in found.remedy


def test_nan_and_infinite_intensities(folder):
    array = image_array().astype(np.float32)
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, -np.inf
    path = save(folder / "imagesTr" / "a_0000.nii.gz", array)
    found = _only(folder)
    assert (found.file, found.found) == (path, "1 NaN and 2 infinite voxels")


def test_constant_images_are_fatal_and_constant_channels_a_warning(tmp_path):
    folder = make_raw(tmp_path / "d", channels=2)
    one = save(folder / "imagesTr" / "a_0001.nii.gz", np.full(SHAPE_XYZ, 5, np.int16))
    for channel in range(2):
        save(folder / "imagesTr" / f"b_{channel:04d}.nii.gz", np.zeros(SHAPE_XYZ, np.int16))
    report = _check(folder)
    found = [(finding.severity, finding.file.name, finding.found) for finding in report.findings]
    assert found == [
        ("fatal", "b_0000.nii.gz", "the value 0 everywhere"),
        ("fatal", "b_0001.nii.gz", "the value 0 everywhere"),
        ("warning", one.name, "the value 5 everywhere"),
    ]


def test_empty_labels_are_a_note(folder):
    path = save(folder / "labelsTr" / "a.nii.gz", np.zeros(SHAPE_XYZ, np.uint8))
    found = _only(folder, "note")
    assert (found.file, found.found) == (path, "only background")


def test_a_label_that_no_case_has(tmp_path):
    folder = make_raw(tmp_path / "d", labels={**LABELS, "body": 3})
    found = _only(folder, "warning")
    assert found.file.name == "dataset.json" and found.found == "no voxel of body in any of 3 labels"


def test_identical_images_form_groups(folder):
    for case in "bc":
        save(folder / "imagesTr" / f"{case}_0000.nii.gz", image_array(0).astype(np.float32))  # as a, in another type
    report = _check(folder)
    assert [(found.severity, found.found) for found in report.findings] == [("note", "the same image as b, c")]
    save(folder / "labelsTr" / "b.nii.gz", label_array()[::-1])
    report = _check(folder)
    assert [found.severity for found in report.findings] == ["warning"]
    assert "their labels differ" in report.findings[0].remedy


def test_faults_of_test_images_are_warnings(folder):
    save(folder / "imagesTs" / "t_0000.nii.gz", image_array(0))  # as training case a
    (folder / "imagesTs" / "u_0000.nii.gz").write_bytes(b"nonsense")
    report = _check(folder)
    assert [(found.severity, found.case) for found in report.findings] == [("warning", "u"), ("warning", "t")]
    assert report.findings[1].found == "the same image as training case a"


def test_a_2d_image_among_3d_ones(folder):
    save(folder / "imagesTr" / "a_0000.nii.gz", image_array(shape=(6, 5)))
    save(folder / "labelsTr" / "a.nii.gz", label_array()[:, :, 1])
    found = _only(folder)
    assert (found.case, found.found) == ("a", "one slice (2 axes) of 5 x 6 pixels")
    assert found.expected == "a volume (3 axes), as 2 other cases are" and "whole volume" in found.remedy


def test_colour_needs_three_channel_names(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (4, 5, 3)).astype(np.uint8)
    folder = describe(tmp_path / "d", file_ending=".png", numTraining=1)
    path = save(folder / "imagesTr" / "a_0000.png", colours)
    save(folder / "labelsTr" / "a.png", np.array([[1, 2, 0, 0, 0]] * 4, np.uint8))
    found = _only(folder)
    assert (found.file, found.found) == (path, "3 channels") and "R, G, B" in found.remedy
    describe(folder, file_ending=".png", numTraining=1, channel_names={"0": "R", "1": "G", "2": "B"})
    assert _check(folder).findings == ()


def test_workers_find_the_same(folder, workers):
    save(folder / "labelsTr" / "a.nii.gz", np.zeros(SHAPE_XYZ, np.uint8))
    (folder / "imagesTr" / "b_0000.nii.gz").write_bytes(b"nonsense")
    seen = []
    assert _check(folder, executor=workers, progress=seen.append) == _check(folder)
    assert sorted(seen) == ["a", "b", "c"]


def test_loaded_arrays_can_be_checked_without_reading_again(folder):
    dataset = load_dataset(folder)
    case = dataset.training[0]
    image, label = read_image(case.images), read_labels(case.label)
    assert check_arrays(case, image, label, dataset) == []
    findings = check_arrays(case, replace(image, array=image.array * np.nan), label, dataset)
    assert [found.severity for found in findings] == ["fatal"]


def test_oblique_and_non_orthonormal_headers_agree_with_themselves(folder):
    sheared = affine()
    sheared[0, 1], sheared[2, 0] = 0.02, 0.1
    for path, array in (
        (folder / "imagesTr" / "a_0000.nii.gz", image_array()),
        (folder / "labelsTr" / "a.nii.gz", label_array()),
    ):
        image = nib.Nifti1Image(array, None)
        image.set_sform(sheared, code=1)
        nib.save(image, path)
    assert _check(folder).findings == ()


def save_plain(path, array, spacing=1.0):
    """A file without an orientation."""
    image = nib.Nifti1Image(array, None)
    image.header.set_zooms([spacing] * array.ndim)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, path)
    return path


def test_a_label_without_an_orientation_is_taken_voxel_for_voxel(folder):
    """In the image's orientation, in the check and in the fingerprint that planning uses."""
    expected = check_and_extract(load_dataset(folder))[1].cases
    save_plain(folder / "labelsTr" / "a.nii.gz", label_array())
    report = _check(folder)
    assert [(found.severity, found.expected) for found in report.findings] == [
        ("warning", "the orientation of a_0000.nii.gz"),
        ("note", "a header that says where each voxel lies"),
    ]
    assert all("no orientation" in found.found for found in report.findings)
    assert check_and_extract(load_dataset(folder))[1].cases == expected
    save_plain(folder / "labelsTr" / "a.nii.gz", label_array(), 2.0)
    assert [found.found for found in _check(folder).fatal] == ["spacing (2, 2, 2)"]


def test_sform_and_qform_of_one_label_that_disagree(folder):
    image = nib.Nifti1Image(label_array(), None)
    image.set_sform(affine(flipped=True), 1)
    image.set_qform(affine(), 1)
    nib.save(image, folder / "labelsTr" / "a.nii.gz")
    report = _check(folder)
    assert report.fatal and all(
        "its sform, which is used; its qform, up to 10 mm away" in f.found for f in report.fatal
    )
    assert all("Copy the header of a_0000.nii.gz to a.nii.gz" in found.remedy for found in report.fatal)
    assert report.findings[-1].found == "sform and qform up to 10 mm apart"
