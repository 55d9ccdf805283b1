import numpy as np
import SimpleITK as sitk

from mednca_pipeline.runtime.images import read_image, read_labels

from .conversions import box, converted, noise, run, save_nifti


def test_the_resampled_layout_has_lost_its_spacing(tmp_path, capsys):
    source = tmp_path / "PROMISE12_resampled"
    for name in ("case02", "case01"):
        save_nifti(source / "images" / f"{name}.nii.gz", noise(6, 6, 4).astype(np.int16))
        save_nifti(source / "labels" / f"{name}.nii.gz", box(6, 6, 4))
    assert run(tmp_path, "promise12", "-i", source, "-d", "12") == 0
    assert "voxels" in capsys.readouterr().out
    dataset, described = converted(tmp_path, "Dataset012_PROMISE12")
    assert described["spacing_known"] is False and dataset.spacing_known is False
    assert described["labels"] == {"background": 0, "prostate": 1}
    assert [case.name for case in dataset.training] == ["case01", "case02"]


def _challenge_case(folder, name, segmented=True):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: noise(4, 6, 5).astype(np.int16)} | ({f"{name}_segmentation": box(4, 6, 5)} if segmented else {})
    for stem, array in arrays.items():
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.6, 0.6, 3.6))
        image.SetOrigin((-80.0, 10.0, -30.0))
        sitk.WriteImage(image, str(folder / f"{stem}.mhd"))


def test_the_challenge_layout_in_several_folders(tmp_path):
    source = tmp_path / "promise"
    _challenge_case(source / "TrainingData_Part1", "Case00")
    _challenge_case(source / "TrainingData_Part2", "Case17")
    _challenge_case(source / "TestData", "Case30", segmented=False)
    assert run(tmp_path, "promise12", "-i", source, "-d", "12", "--name", "Prostate") == 0
    dataset, described = converted(tmp_path, "Dataset012_Prostate")
    assert "spacing_known" not in described and dataset.spacing_known
    assert [case.name for case in dataset.training] == ["Case00", "Case17"]
    assert [case.name for case in dataset.test] == ["Case30"]
    image, label = read_image(dataset.training[1].images), read_labels(dataset.training[1].label)
    np.testing.assert_array_equal(image.array[0], noise(4, 6, 5))
    np.testing.assert_array_equal(label.array[0], box(4, 6, 5))
    np.testing.assert_allclose(image.spacing_mm, (3.6, 0.6, 0.6), rtol=1e-6)
    np.testing.assert_allclose(image.geometry.origin, (-80, 10, -30), rtol=1e-6)


def test_another_folder_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path, "promise12", "-i", tmp_path / "empty", "-d", "12") == 2
    assert "CaseNN.mhd" in capsys.readouterr().err
