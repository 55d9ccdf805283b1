"""What -i names: files, channels, DICOM series, and names taken twice."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.inference.inputs import find_inputs, image_finder
from mednca_pipeline.runtime.errors import InputError

UID = "1.2.826.0.1.3680043.2.1125.7"


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def write_series(folder: Path, number: int) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(3):
        image = sitk.GetImageFromArray(np.full((1, 4, 5), index, np.int16))
        tags = {"0008|0060": "MR", "0020|000e": f"{UID}.{number}", "0020|000d": UID, "0010|0010": "Doe^Jane"}
        tags |= {"0020|0013": str(index), "0020|0032": f"0\\0\\{3 * index}", "0020|0037": "1\\0\\0\\0\\1\\0"}
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"series{number}_{index}.dcm"))
        writer.Execute(image)


def names(cases):
    return [case.name for case in cases]


def test_with_and_without_channel_suffix(tmp_path):
    cases, _ = find_inputs(touch(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz", ".hidden.nii.gz", "notes.txt"), 1)
    assert names(cases) == ["a", "b"] and [case.output for case in cases] == ["a.nii.gz", "b.nii.gz"]
    cases, _ = find_inputs(touch(tmp_path / "plain", "a.nii.gz", "scan.b.nii.gz"), 1)
    assert names(cases) == ["a", "scan.b"]


def test_channels_are_one_case_in_order_also_from_one_of_them(tmp_path):
    touch(tmp_path, "a_0001.nii.gz", "a_0000.nii.gz", "ab_0000.nii.gz", "ab_0001.nii.gz")
    cases, _ = find_inputs(tmp_path, 2)
    assert [[file.name for file in case.files] for case in cases][0] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    (case,), _ = find_inputs(tmp_path / "a_0001.nii.gz", 2)
    assert [file.name for file in case.files] == ["a_0000.nii.gz", "a_0001.nii.gz"]


def test_numbered_images_for_one_channel_are_cases(tmp_path):
    numbered = [f"scan_{number:04d}.nii.gz" for number in range(10)]
    cases, notes = find_inputs(touch(tmp_path, *numbered, "lone_0000.nii.gz"), 1)
    assert [case.output for case in cases] == ["lone.nii.gz", *numbered]
    assert all(len(case.files) == 1 for case in cases) and "10 images" in notes[0]
    assert names(find_inputs(tmp_path, 10)[0]) == ["lone", "scan"]


def test_jpeg_gives_png_and_a_name_taken_twice_is_that_inputs_problem(tmp_path):
    touch(tmp_path, "a.jpg", "a.png", "b.jpg", "Ü ñ.jpg")
    cases, _ = find_inputs(tmp_path, 1)
    assert [case.output for case in cases] == ["a.png", "a.png", "b.png", "Ü ñ.png"]
    assert [case.name for case in cases if case.problem] == ["a"]
    assert "Rename one" in next(case.problem.remedy for case in cases if case.problem)


def test_series_below_a_folder(tmp_path):
    write_series(tmp_path / "patient1" / "t1", 1)
    write_series(tmp_path / "patient2", 2)
    cases, _ = find_inputs(tmp_path, 1)
    assert names(cases) == ["patient1_t1", "patient2"] and all(case.output.endswith(".nii.gz") for case in cases)
    assert [len(case.files) for case in cases] == [3, 3]


def test_several_series_in_one_folder_are_listed_and_chosen(tmp_path):
    write_series(tmp_path / "one", 1)
    for number in (2, 3):
        write_series(tmp_path / "two", number)
    cases, _ = find_inputs(tmp_path, 1)
    assert names(cases) == ["one", "two"] and cases[0].problem is None
    problem = cases[1].problem
    assert f"{UID}.2" in problem.found and f"{UID}.3" in problem.found and "--series" in problem.remedy
    cases, _ = find_inputs(tmp_path, 1, [f"{UID}.3"])
    assert names(cases) == ["one", "two_series2"] and cases[1].problem is None
    assert {file.name for file in cases[1].files} == {f"series3_{index}.dcm" for index in range(3)}
    with pytest.raises(InputError, match="no series fits 9.9.9"):
        find_inputs(tmp_path, 1, ["9.9.9"])


def test_colour_image_in_one_file(tmp_path):
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "a.png")
    (case,), _ = find_inputs(tmp_path, 3)
    assert case.name == "a" and [file.name for file in case.files] == ["a.png"] and case.problem is None


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match=r"found files with \.txt"):
        find_inputs(touch(tmp_path / "empty", "notes.txt"), 1)
    with pytest.raises(InputError, match="found .txt"):
        find_inputs(tmp_path / "empty" / "notes.txt", 1)


def test_images_of_several_channels_stay_one_case_for_a_model_of_one_channel(tmp_path):
    cases, _ = find_inputs(touch(tmp_path, *(f"{name}_{k:04d}.nii.gz" for name in "ab" for k in range(2))), 1)
    assert [(case.name, len(case.files)) for case in cases] == [("a", 2), ("b", 2)]  # refused when predicted


def test_what_is_left_out_is_noted(tmp_path):
    """The voxels beside a header belong to their image, and so do folders with DICOM series."""
    touch(tmp_path, "a.nii.gz", "b.nii", "notes.txt", "model.pth", "pair.hdr", "pair.img", "loose.img")
    touch(tmp_path / "subject1", "scan.nii.gz")
    write_series(tmp_path / "subject2" / "study", 1)
    cases, notes = find_inputs(tmp_path, 1)
    assert names(cases) == ["a", "b", "pair", "subject2_study"]
    assert notes[-1].endswith("no images that can be read: loose.img, model.pth, notes.txt, subject1.")


def test_a_link_to_nowhere_is_the_problem_of_its_case(tmp_path):
    touch(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz", "a_0001.nii.gz")
    (tmp_path / "b_0001.nii.gz").unlink()
    (tmp_path / "b_0001.nii.gz").symlink_to(tmp_path / ".git" / "annex" / "objects" / "b")
    (first, second), _ = find_inputs(tmp_path, 2)
    assert first.problem is None and second.problem.where == str(tmp_path / "b_0001.nii.gz")
    assert "link" in second.problem.found


@pytest.mark.parametrize("fault", ["damaged", "links"])
def test_a_folder_whose_slices_are_all_lost_is_a_case_with_a_problem(tmp_path, fault):
    touch(tmp_path, "a.nii.gz")
    touch(tmp_path / "patient", "1.dcm", "2.dcm")
    if fault == "links":
        for file in (tmp_path / "patient").iterdir():
            file.unlink()
            file.symlink_to(tmp_path / "nowhere")
    (first, second), notes = find_inputs(tmp_path, 1)
    assert (first.problem, second.name) == (None, "patient") and notes[-1:] != ["left out"]
    assert second.problem.where == str(tmp_path / "patient") and "1.dcm and 1 more" in second.problem.found


def test_no_images_names_the_endings_that_are_there(tmp_path):
    touch(tmp_path, "a.czi", "b.svs")
    with pytest.raises(InputError, match=r"found files with \.czi, \.svs"):
        find_inputs(tmp_path, 1)


def test_one_slice_of_a_series_is_answered_with_its_folder(tmp_path):
    write_series(tmp_path / "scan", 1)
    with pytest.raises(InputError) as caught:
        find_inputs(tmp_path / "scan" / "series1_1.dcm", 1)
    assert caught.value.found == "one of the 3 slices of a DICOM series"
    assert caught.value.remedy == f"Give the folder of the series: -i {tmp_path / 'scan'}"
    write_series(tmp_path / "scan", 2)
    with pytest.raises(InputError, match=r"scan --series 2\.?$"):
        find_inputs(tmp_path / "scan" / "series2_0.dcm", 1)


def test_a_dicom_file_that_is_alone_is_an_image(tmp_path):
    write_series(tmp_path / "scan", 1)
    for index in (1, 2):
        (tmp_path / "scan" / f"series1_{index}.dcm").unlink()
    cases, _ = find_inputs(tmp_path / "scan" / "series1_0.dcm", 1)
    assert names(cases) == ["series1_0"]


def test_the_image_of_a_prediction_is_found_whatever_prediction_took(tmp_path):
    touch(tmp_path / "in", "a_0000.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz", "c.png")
    write_series(tmp_path / "in" / "scan", 1)
    find = image_finder(tmp_path / "in")
    assert [file.name for file in find("b")] == ["b_0000.nii.gz", "b_0001.nii.gz"]
    assert find("c") == (tmp_path / "in" / "c.png",) and len(find("scan")) == 3
    with pytest.raises(InputError, match="expected an image d or d_0000, found a, b"):
        find("d")
    alone = tmp_path / "in" / "a_0000.nii.gz"
    assert image_finder(alone)("a") == image_finder(alone, alone=True)("other") == (alone,)
