import json
import os

import nibabel as nib
import numpy as np
import pytest

from .conversions import box, converted, noise, run, save_nifti


def _task(folder, modality, labels, image_shape):
    for number, name in enumerate(("x_003", "x_001")):
        image = noise(*image_shape, seed=number).astype(np.float32)
        save_nifti(folder / "imagesTr" / f"{name}.nii.gz", image, spacing=2)
        label = box(*image_shape[:3])
        label[1, 1, 1] = max(map(int, labels))
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", label, spacing=2)
    (folder / "imagesTr" / "._x_001.nii.gz").write_bytes(b"macOS")
    save_nifti(folder / "imagesTs" / "x_009.nii.gz", noise(*image_shape, seed=9).astype(np.float32), spacing=2)
    description = {
        "name": "Y",
        "licence": "CC-BY-SA 4.0",
        "reference": 7,
        "modality": modality,
        "labels": labels,
        "numTraining": 3,
        "training": [{}] * 3,
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


def test_a_task_of_one_channel(tmp_path, capsys):
    source = _task(
        tmp_path / "Task04_Hippocampus", {"0": "MRI"}, {"0": "background", "2": "Zeta", "1": "Alpha"}, (5, 6, 7)
    )
    assert run(tmp_path, "msd", "-i", source, "-d", "4") == 0
    assert "2 of the 3 training cases" in capsys.readouterr().out
    dataset, described = converted(tmp_path, "Dataset004_Hippocampus")
    assert described == {
        "licence": "CC-BY-SA 4.0",
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "Alpha": 1, "Zeta": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    assert list(described["labels"]) == ["background", "Alpha", "Zeta"]  # in the order of their values
    assert [case.name for case in dataset.training] == ["x_001", "x_003"]
    assert [case.images[0].name for case in dataset.test] == ["x_009_0000.nii.gz"]
    original = source / "imagesTr" / "x_001.nii.gz"
    assert dataset.training[0].images[0].read_bytes() == original.read_bytes()
    assert not os.path.samefile(dataset.training[0].images[0], original)


def test_a_fourth_axis_becomes_channels(tmp_path):
    modality = {str(index): name for index, name in enumerate(("FLAIR", "T1w", "t1gd"))}
    source = _task(tmp_path / "Task01_BrainTumour", modality, {"0": "background", "1": "edema"}, (5, 6, 7, 3))
    assert run(tmp_path, "msd", "-i", source, "-d", "1") == 0
    dataset, _ = converted(tmp_path, "Dataset001_BrainTumour")
    assert dataset.channel_names == ("FLAIR", "T1w", "t1gd")
    whole = nib.load(source / "imagesTr" / "x_001.nii.gz")
    for channel, file in enumerate(dataset.training[0].images):
        part = nib.load(file)
        np.testing.assert_array_equal(np.asarray(part.dataobj), np.asarray(whole.dataobj)[..., channel])
        np.testing.assert_array_equal(part.affine, whole.affine)
        assert part.shape == (5, 6, 7) and part.get_data_dtype() == np.float32


def test_another_number_of_channels_than_modality_leaves_nothing_behind(tmp_path, capsys):
    source = _task(tmp_path / "Task02_X", {"0": "CT", "1": "PET"}, {"0": "background", "1": "a"}, (5, 6, 7))
    assert run(tmp_path, "msd", "-i", source, "-d", "2") == 2
    assert "expected 2 channels" in capsys.readouterr().err
    assert list((tmp_path / "raw").iterdir()) == []


def test_an_image_without_a_label_is_named(tmp_path, capsys):
    source = _task(tmp_path / "Task02_X", {"0": "CT"}, {"0": "background", "1": "a"}, (5, 6, 7))
    (source / "labelsTr" / "x_003.nii.gz").unlink()
    assert run(tmp_path, "msd", "-i", source, "-d", "2") == 2
    assert "x_003.nii.gz" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{}", '{"modality": {"0": "CT"}, "labels": {"liver": 1}}'])
def test_another_dataset_json_is_refused(tmp_path, capsys, content):
    source = _task(tmp_path / "Task02_X", {"0": "CT"}, {"0": "background", "1": "a"}, (5, 6, 7))
    (source / "dataset.json").write_text(content, encoding="utf-8")
    assert run(tmp_path, "msd", "-i", source, "-d", "2") == 2
    assert f"{source / 'dataset.json'}: " in (err := capsys.readouterr().err) and "expected" in err
