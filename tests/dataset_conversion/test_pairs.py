import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.inference.inputs import find_inputs
from mednca_pipeline.runtime.images import read_image, read_labels, write_labels

from ..dicom_series import UID, write_series
from .conversions import box, converted, noise, pixels, run, save_nifti, save_picture


def _pairs(folder, ending=".png", mask_ending=".png", mask_value=255, names=("b", "a"), mask_name="{}"):
    for number, name in enumerate(names):
        save_picture(folder / "images" / f"{name}{ending}", noise(6, 7, seed=number))
        save_picture(folder / "masks" / f"{mask_name.format(name)}{mask_ending}", box(6, 7, value=mask_value))
    return "pairs", "-i", folder / "images", "-l", folder / "masks", "-d", "30", "--name", "Own"


@pytest.mark.parametrize("mask_name", ["{}", "{}_mask", "{}-Segmentation"])
@pytest.mark.parametrize("option", [("--threshold", "127"), ("--map", "255:1")])
def test_white_masks(tmp_path, option, mask_name):
    assert run(tmp_path, *_pairs(tmp_path / "größe", mask_name=mask_name), *option) == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert [case.name for case in dataset.training] == ["a", "b"]
    assert described["labels"] == {"background": 0, "foreground": 1} and described["spacing_known"] is False
    np.testing.assert_array_equal(pixels(dataset.training[0].label), box(6, 7))
    np.testing.assert_array_equal(pixels(dataset.training[1].images[0]), noise(6, 7, seed=0))


def test_several_mapped_values(tmp_path):
    arguments = _pairs(tmp_path / "s")
    mask = box(6, 7, value=255)
    mask[2, 2] = 128
    save_picture(tmp_path / "s" / "masks" / "a.png", mask)
    assert run(tmp_path, *arguments, "--map", "255:2", "128:1") == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert described["labels"] == {"background": 0, "label_1": 1, "label_2": 2}
    label = pixels(dataset.training[0].label)
    assert label[2, 2] == 1 and (label == 2).sum() == box(6, 7).sum() - 1


def test_a_value_without_a_label_is_named(tmp_path, capsys):
    assert run(tmp_path, *_pairs(tmp_path / "s"), "--map", "128:1") == 2
    error = capsys.readouterr().err
    assert "masks/a.png" in error and "found also 255" in error


def test_masks_that_hold_no_labels_get_a_proposal(tmp_path, capsys):
    assert run(tmp_path, *_pairs(tmp_path / "s")) == 2
    assert "--map 255:1" in capsys.readouterr().err


def test_labels_are_taken_as_they_are(tmp_path):
    assert run(tmp_path, *_pairs(tmp_path / "s", mask_value=3)) == 0
    assert converted(tmp_path, "Dataset030_Own")[1]["labels"] == {"background": 0, "foreground": 3}


def test_jpeg_becomes_png_and_colour_stays(tmp_path):
    arguments = _pairs(tmp_path / "s", ending=".jpg")
    colours = np.random.default_rng(0).integers(0, 255, (6, 7, 3)).astype(np.uint8)
    save_picture(tmp_path / "s" / "images" / "c.png", colours)
    save_picture(tmp_path / "s" / "masks" / "c.png", box(6, 7, value=255))
    assert run(tmp_path, *arguments, "--threshold", "127") == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert described["file_ending"] == ".png" and dataset.channel_names == ("R", "G", "B")
    np.testing.assert_array_equal(pixels(dataset.training[2].images[0]), colours)
    assert pixels(dataset.training[0].images[0]).shape == (6, 7, 3)


def test_volumes_are_copied_and_split_channels_kept(tmp_path):
    source = tmp_path / "s"
    for name in ("p_0001", "p_0002"):
        for channel in range(2):
            save_nifti(source / "i" / f"{name}_{channel:04d}.nii.gz", noise(5, 6, 7, seed=channel).astype(np.int16), 2)
        save_nifti(source / "m" / f"{name}.nii.gz", box(5, 6, 7), 2)
    arguments = ("pairs", "-i", source / "i", "-l", source / "m", "-d", "30", "--name", "Own")
    assert run(tmp_path, *arguments) == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert "spacing_known" not in described and dataset.channel_names == ("channel_0", "channel_1")
    assert [case.name for case in dataset.training] == ["p_0001", "p_0002"]
    copied, original = dataset.training[0].images[1], source / "i" / "p_0001_0001.nii.gz"
    assert copied.read_bytes() == original.read_bytes()


def test_numbered_images_are_cases_where_their_masks_say_so(tmp_path):
    assert run(tmp_path, *_pairs(tmp_path / "s", names=("s_0000", "s_0001"), mask_value=1)) == 0
    dataset, _ = converted(tmp_path, "Dataset030_Own")
    assert [case.name for case in dataset.training] == ["s_0000", "s_0001"]


def test_numbered_images_are_all_cases_where_a_mask_has_the_name_of_one(tmp_path):
    names = [f"img_{number:04d}" for number in range(10)]
    arguments = _pairs(tmp_path / "s", names=names, mask_value=1, mask_name="{}_mask")
    for name in names[5:]:
        (tmp_path / "s" / "masks" / f"{name}_mask.png").unlink()
    assert run(tmp_path, *arguments) == 0
    dataset, _ = converted(tmp_path, "Dataset030_Own")
    assert [case.name for case in dataset.training] == names[:5]
    assert [case.name for case in dataset.test] == names[5:]
    np.testing.assert_array_equal(pixels(dataset.test[0].images[0]), noise(6, 7, seed=5))


def _series_pairs(folder, *scans):
    """Scans of one series each in subfolders, and masks of their middle as 3D Slicer writes them."""
    for number, scan in enumerate(scans):
        write_series(
            folder / "i" / scan, positions=(30 * number, 30 * number + 3, 30 * number + 6), uid=f"{UID}.{number}"
        )
        image = read_image(folder / "i" / scan)
        name = scan.replace("/", "_")
        write_labels(folder / "m" / f"{name}.nii.gz", box(*image.geometry.shape), image.geometry)
    return "pairs", "-i", folder / "i", "-l", folder / "m", "-d", "30", "--name", "Own"


def test_dicom_series_are_cases_named_as_prediction_names_them(tmp_path):
    arguments = _series_pairs(tmp_path / "s", "patient1/t2", "patient2")
    write_series(tmp_path / "s" / "i" / "patient3", uid=f"{UID}.9")
    assert run(tmp_path, *arguments) == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert described["file_ending"] == ".nii.gz" and dataset.spacing_known
    predicted, _ = find_inputs(tmp_path / "s" / "i", 1)
    assert [case.name for case in (*dataset.training, *dataset.test)] == [case.name for case in predicted]
    assert [case.name for case in dataset.training] == ["patient1_t2", "patient2"]
    for case, source in zip(dataset.training, predicted, strict=False):
        written, original = read_image(case.images), read_image(source.files)
        np.testing.assert_array_equal(written.array, original.array)
        assert written.spacing_mm == pytest.approx(original.spacing_mm)
        np.testing.assert_allclose(written.geometry.origin, original.geometry.origin, atol=1e-4)
        np.testing.assert_array_equal(read_labels(case.label).array[0], box(3, 4, 5))


def test_several_series_in_one_folder_are_listed_and_chosen(tmp_path, capsys):
    arguments = _series_pairs(tmp_path / "s", "a", "b")
    write_series(tmp_path / "s" / "i" / "b", uid=f"{UID}.7", prefix="late")
    assert run(tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert f"1: {UID}.1" in error and f"2: {UID}.7" in error and "--series" in error
    (tmp_path / "s" / "m" / "b.nii.gz").rename(tmp_path / "s" / "m" / "b_series1.nii.gz")
    assert run(tmp_path, *arguments, "--series", f"{UID}.1") == 0
    dataset, _ = converted(tmp_path, "Dataset030_Own")
    assert [case.name for case in dataset.training] == ["a", "b_series1"]


def test_a_mask_of_another_size_than_its_series_and_series_of_files_are_refused(tmp_path, capsys):
    arguments = _series_pairs(tmp_path / "s", "a")
    write_series(tmp_path / "s" / "i" / "a", positions=(0, 3), uid=f"{UID}.0", prefix="IM")
    (tmp_path / "s" / "i" / "a" / "IM0002.dcm").unlink()
    assert run(tmp_path, *arguments) == 2
    assert "expected the size (2, 4, 5) of a, found (3, 4, 5)" in capsys.readouterr().err
    assert run(tmp_path, *_pairs(tmp_path / "p", mask_value=1), "--series", "1") == 2
    assert "--series: expected only DICOM series" in capsys.readouterr().err


def test_four_axes_become_channels_and_mixed_formats_nifti(tmp_path):
    source = tmp_path / "s"
    save_nifti(source / "i" / "a.nii.gz", noise(5, 6, 7, 2).astype(np.int16), 2)
    save_nifti(source / "i" / "b.nii", noise(5, 6, 7, 2, seed=1).astype(np.int16), 2)
    for name in ("a.nii.gz", "b.nii"):
        save_nifti(source / "m" / name, box(5, 6, 7), 2)
    assert run(tmp_path, "pairs", "-i", source / "i", "-l", source / "m", "-d", "30", "--name", "Own") == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert described["file_ending"] == ".nii.gz"
    second = np.asarray(nib.load(dataset.training[0].images[1]).dataobj)
    np.testing.assert_array_equal(second, noise(5, 6, 7, 2)[..., 1])


def test_images_without_a_mask_go_to_imagests(tmp_path, capsys):
    arguments = _pairs(tmp_path / "s")
    save_picture(tmp_path / "s" / "images" / "z.png", noise(6, 7, seed=8))
    assert run(tmp_path, *arguments, "--threshold", "127") == 0
    assert "1 image (z) without a mask" in capsys.readouterr().out
    assert [case.name for case in converted(tmp_path, "Dataset030_Own")[0].test] == ["z"]


def test_masks_of_other_names_are_refused(tmp_path, capsys):
    assert run(tmp_path, *_pairs(tmp_path / "s", mask_name="m{}"), "--threshold", "127") == 2
    assert "such as a or a_mask" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--threshold", "1", "--map", "1:1"), "found both"),
        (("--map", "white:1"), "--map white:1"),
        (("--name", ""), "--name: expected a name"),
        (("--name", "a b"), "found 'a b'"),
        (("-d", "0"), "-d: expected a number from 1 to 999, found 0"),
    ],
)
def test_a_wrong_command_line_is_refused(tmp_path, capsys, extra, message):
    assert run(tmp_path, *_pairs(tmp_path / "s", mask_value=1), *extra) == 2
    assert message in capsys.readouterr().err
