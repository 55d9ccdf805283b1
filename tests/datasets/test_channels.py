from pathlib import Path

from mednca_pipeline.datasets.channels import group_channels


def _grouped(names, n_channels, known=(), ending=".nii.gz"):
    cases, notes = group_channels([Path(f"{name}{ending}") for name in names], ending, n_channels, known)
    return {case: [file.name.removesuffix(ending) for file in files] for case, files in cases}, notes


def test_channels_of_a_case_are_in_order_whatever_the_order_of_the_files():
    cases, notes = _grouped(["b_0001", "a_0001", "a_0000", "b_0000"], 2)
    assert cases == {"a": ["a_0000", "a_0001"], "b": ["b_0000", "b_0001"]}
    assert notes == []


def test_names_without_a_suffix_are_accepted_with_a_note():
    cases, notes = _grouped(["scan", "other_0000"], 1)
    assert cases == {"other": ["other_0000"], "scan": ["scan"]}
    assert len(notes) == 1 and "scan.nii.gz" in notes[0] and "_0000" in notes[0]


def test_four_digits_that_cannot_be_channels_belong_to_the_name():
    cases, notes = _grouped(["scan_0001", "scan_0002", "scan_0017"], 1)
    assert list(cases) == ["scan_0001", "scan_0002", "scan_0017"]
    assert "3 images" in notes[0]
    assert list(_grouped(["rgb_0007", "rgb_0009"], 3)[0]) == ["rgb_0007", "rgb_0009"]


def test_labels_tell_numbered_cases_from_channels():
    names = ["scan_0000", "scan_0001"]
    assert _grouped(names, 2)[0] == {"scan": names}
    assert _grouped(names, 2, {"scan"})[0] == {"scan": names}
    assert _grouped(names, 1, {"scan_0000", "scan_0001"})[0] == {"scan_0000": names[:1], "scan_0001": names[1:]}


def test_a_suffixed_numbered_case_keeps_its_number():
    assert _grouped(["img_0001_0000", "img_0002_0000"], 1)[0] == {
        "img_0001": ["img_0001_0000"],
        "img_0002": ["img_0002_0000"],
    }


def test_several_numbers_of_a_single_channel_are_cases_where_no_labels_tell():
    names = [f"scan_{number:04d}" for number in range(10)]
    cases, notes = _grouped([*names, "lone_0000"], 1, known=None)
    assert cases == {"lone": ["lone_0000"]} | {name: [name] for name in names}
    assert len(notes) == 1 and "10 images" in notes[0] and "scan_0000.nii.gz" in notes[0]
    assert _grouped(names[:2], 2, known=None) == ({"scan": names[:2]}, [])


def test_too_many_channels_stay_together_and_other_endings_are_passed_over():
    assert _grouped(["a_0000", "a_0001"], 1)[0] == {"a": ["a_0000", "a_0001"]}
    cases, _ = group_channels([Path("a_0000.PNG"), Path("b_0000.txt")], ".png", 1)
    assert cases == [("a", (Path("a_0000.PNG"),))]
