import re

import numpy as np
import pytest

from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels

from .raw_folders import describe, image_array, label_array, make_raw, save


def test_a_dataset_as_nnunet_has_it(tmp_path):
    folder = make_raw(tmp_path / "Dataset007_Größe", cases=("b", "a"), channels=2)
    save(folder / "imagesTs" / "t_0000.nii.gz", image_array(90))
    save(folder / "imagesTs" / "t_0001.nii.gz", image_array(91))
    (folder / "imagesTr" / "._a_0000.nii.gz").write_bytes(b"macOS")
    dataset = load_dataset(folder)
    assert dataset.name == "Dataset007_Größe"
    assert dataset.channel_names == ("channel0", "channel1")
    assert dataset.labels == Labels(("head", "tail"), ((1,), (2,)))
    assert dataset.file_ending == ".nii.gz" and dataset.spacing_known and dataset.notes == ()
    assert [case.name for case in dataset.training] == ["a", "b"]
    assert [file.name for file in dataset.training[0].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert dataset.training[0].label == folder / "labelsTr" / "a.nii.gz"
    assert [case.name for case in dataset.test] == ["t"] and dataset.test[0].label is None


def test_regions_and_ignore(tmp_path):
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    folder = make_raw(tmp_path / "d", labels=labels, regions_class_order=[1, 2])
    assert load_dataset(folder).labels == Labels(("whole", "core"), ((1, 2), (2,)), (1, 2), 3)


def test_the_old_key_modality_and_a_missing_file_ending(tmp_path):
    folder = make_raw(tmp_path / "d", channel_names=None, modality={"0": "CT"}, file_ending=None)
    dataset = load_dataset(folder)
    assert dataset.channel_names == ("CT",)
    assert dataset.file_ending == ".nii.gz"
    assert any("file_ending" in note for note in dataset.notes)


def test_images_without_a_suffix_are_accepted_with_a_note(tmp_path):
    dataset = load_dataset(make_raw(tmp_path / "d", cases=("scan_0000", "scan_0001", "scan_0002"), suffix=False))
    assert [case.name for case in dataset.training] == ["scan_0000", "scan_0001", "scan_0002"]
    assert all(case.label for case in dataset.training)
    assert any("_0000" in note for note in dataset.notes)


def test_explicit_paths_leave_the_dataset_only_where_it_says_so(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    image, label = save(elsewhere / "x.nii.gz", image_array()), save(elsewhere / "y.nii.gz", label_array())
    monkeypatch.setenv("SCANS", str(elsewhere))
    cases = {
        "one": {"images": ["../elsewhere/x.nii.gz"], "label": str(label)},
        "two": {"images": [str(image)], "label": "../elsewhere/y.nii.gz"},
    }
    dataset = load_dataset(describe(tmp_path / "d", dataset=cases, numTraining=2, allow_outside=True))
    assert [case.name for case in dataset.training] == ["one", "two"]
    assert all(case.images[0].samefile(image) and case.label.samefile(label) for case in dataset.training)
    for path in ("../elsewhere/x.nii.gz", "inner/../../elsewhere/x.nii.gz", str(image)):
        folder = describe(tmp_path / "d", dataset={"one": {"images": [path], "label": "y.nii.gz"}})
        with pytest.raises(InputError, match='"allow_outside": true') as caught:
            load_dataset(folder)
        assert caught.value.where == f"{folder / 'dataset.json'}: dataset.one.images"
    cases = {"two": {"images": ["$SCANS/x.nii.gz"], "label": "y.nii.gz"}}
    with pytest.raises(InputError, match="Variables are not expanded"):
        load_dataset(describe(tmp_path / "d", dataset=cases, allow_outside=True))


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "a\\b", "/tmp/x", ".", "..", "", "a\0b", "a\x1b[2Jb", "a\nb", "\udcff"]
)
def test_case_names_that_are_no_file_names_are_refused_by_field(tmp_path, name):
    save(tmp_path / "d" / "x.nii.gz", image_array())
    folder = describe(tmp_path / "d", dataset={name: {"images": ["x.nii.gz"], "label": "x.nii.gz"}})
    with pytest.raises(InputError, match=r"dataset\.json") as caught:
        load_dataset(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("stated", "known"), [(None, False), (True, True)])
def test_pictures_have_no_known_spacing_unless_stated(tmp_path, stated, known):
    folder = describe(tmp_path / "d", file_ending=".PNG", spacing_known=stated, numTraining=1)
    save(folder / "imagesTr" / "a_0000.png", np.arange(20, dtype=np.uint8).reshape(4, 5))
    save(folder / "labelsTr" / "a.png", np.eye(4, 5, dtype=np.uint8))
    dataset = load_dataset(folder)
    assert dataset.spacing_known is known and dataset.file_ending == ".png"


def test_jpeg_images_have_png_labels(tmp_path):
    folder = describe(tmp_path / "d", file_ending=".jpg", numTraining=1)
    save(folder / "imagesTr" / "a_0000.jpg", np.arange(20, dtype=np.uint8).reshape(4, 5))
    label = save(folder / "labelsTr" / "a.png", np.eye(4, 5, dtype=np.uint8))
    assert load_dataset(folder).training[0].label == label


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"channel_names": None}, "dataset.json: channel_names", "found None"),
        ({"channel_names": {"1": "T1"}}, "dataset.json: channel_names", "found {'1': 'T1'}"),
        ({"labels": {"0": "background", "1": "head"}}, "dataset.json: labels", "Turn it round"),
        ({"file_ending": "nii.gz"}, "dataset.json: file_ending", "found 'nii.gz'"),
        ({"file_ending": ".nrrd"}, "imagesTr", "expected images ending in .nrrd, found files with .nii.gz"),
        ({"spacing_known": "no"}, "dataset.json: spacing_known", "true or false"),
        ({"allow_outside": 1}, "dataset.json: allow_outside", "true or false"),
        ({"numTraining": "3"}, "dataset.json: numTraining", "a whole number"),
        ({"dataset": {"a": {"image": "x"}}}, "dataset.json: dataset.a", '"images"'),
    ],
)
def test_a_wrong_dataset_json_is_an_error_that_names_file_and_key(tmp_path, changes, place, message):
    folder = make_raw(tmp_path / "d", **changes)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_dataset(folder)
    assert caught.value.where == str(folder / place)


def test_a_missing_dataset_json_names_the_expected_format(tmp_path):
    with pytest.raises(InputError, match=r"dataset\.json: expected a dataset .* no such file.*mednca_convert"):
        load_dataset(tmp_path)


def test_two_files_for_one_case_are_an_error(tmp_path):
    folder = make_raw(tmp_path / "d")
    save(folder / "imagesTr" / "a.nii.gz", image_array())
    with pytest.raises(InputError, match=r"case a, found a.*nii\.gz and a.*nii\.gz"):
        load_dataset(folder)


def test_numbered_images_taken_for_channels_propose_the_rename(tmp_path):
    """nnU-Net says "n_splits=5 cannot be greater than n_samples=1"."""
    folder = describe(tmp_path / "d")
    for number in range(3):
        save(folder / "imagesTr" / f"scan_000{number}.nii.gz", image_array(number))
        save(folder / "labelsTr" / f"scan_000{number}_seg.nii.gz", label_array())
    with pytest.raises(InputError, match=r"rename scan_0000\.nii\.gz to scan_0000_0000\.nii\.gz"):
        load_dataset(folder)


def test_labels_with_another_name_propose_the_rename(tmp_path):
    folder = make_raw(tmp_path / "d", cases=("a",))
    (folder / "labelsTr" / "a.nii.gz").rename(folder / "labelsTr" / "a_seg.nii.gz")
    with pytest.raises(InputError, match=r"the label of a_0000\.nii\.gz is a\.nii\.gz"):
        load_dataset(folder)
