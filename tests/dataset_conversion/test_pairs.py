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


def test_several_mapped_values_have_names(tmp_path, capsys):
    arguments = _pairs(tmp_path / "s")
    mask = box(6, 7, value=255)
    mask[2, 2] = 128
    save_picture(tmp_path / "s" / "masks" / "a.png", mask)
    mapping = ("--map", "255:2", "128:1")
    assert run(tmp_path, *arguments, *mapping) == 2  # names are asked for
    assert "Add --labels 1:NAME 2:NAME." in capsys.readouterr().err
    assert run(tmp_path, *arguments, *mapping, "--labels", "2:cell", "1:nucleus", "--channel", "H&E") == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert described["labels"] == {"background": 0, "nucleus": 1, "cell": 2}
    assert described["channel_names"] == {"0": "H&E"}
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


@pytest.mark.parametrize("affix", ["_mask", "_label", "_seg", "-gt"])
def test_images_and_masks_in_one_folder(tmp_path, affix):
    for number, name in enumerate(("b", "a")):
        save_picture(tmp_path / "s" / f"{name}.png", noise(6, 7, seed=number))
        save_picture(tmp_path / "s" / f"{name}{affix}.png", box(6, 7, value=255))
    arguments = ("pairs", "-i", tmp_path / "s", "-l", tmp_path / "s", "-d", "30", "--name", "Own")
    assert run(tmp_path, *arguments, "--threshold", "127") == 0
    dataset, _ = converted(tmp_path, "Dataset030_Own")
    assert [case.name for case in dataset.training] == ["a", "b"] and not dataset.test
    np.testing.assert_array_equal(pixels(dataset.training[0].label), box(6, 7))
    np.testing.assert_array_equal(pixels(dataset.training[0].images[0]), noise(6, 7, seed=1))


def test_no_file_is_its_own_mask(tmp_path, capsys):
    for name in ("a", "b"):
        save_picture(tmp_path / "s" / f"{name}.png", noise(6, 7))
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "a.png").symlink_to(tmp_path / "s" / "a.png")
    for masks, text in (("s", "such as a_mask"), ("l", "one file for both")):
        arguments = ("pairs", "-i", tmp_path / "s", "-l", tmp_path / masks, "-d", "30", "--name", "Own")
        assert run(tmp_path, *arguments, "--threshold", "127") == 2
        assert text in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_a_link_to_a_file_that_is_not_there_is_an_error(tmp_path, folder, capsys):
    arguments = _pairs(tmp_path / "s", names=("a", "b", "c"))
    file = tmp_path / "s" / folder / "b.png"
    file.unlink()
    file.symlink_to(tmp_path / "annex" / "objects" / "b")
    assert run(tmp_path, *arguments, "--threshold", "127") == 2
    assert f"{file}: expected an image, found a link" in capsys.readouterr().err
    assert not (tmp_path / "raw" / "Dataset030_Own").exists()


def test_what_is_left_out_is_listed(tmp_path, capsys):
    arguments = _pairs(tmp_path / "s")
    (tmp_path / "s" / "images" / "scan.czi").write_bytes(b"x")
    assert run(tmp_path, *arguments, "--threshold", "127") == 0
    assert "images: 1 entry (scan.czi) left out" in capsys.readouterr().out


def test_a_mask_whose_zero_is_white_has_its_stored_values(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    arguments = _pairs(tmp_path / "s", names=("a",))
    (tmp_path / "s" / "masks" / "a.png").unlink()
    for value, option in ((255, ("--threshold", "127")), (255, ("--map", "255:1")), (1, ())):
        tifffile.imwrite(tmp_path / "s" / "masks" / "a.tif", box(6, 7, value=value), photometric="miniswhite")
        assert run(tmp_path, *arguments, *option, "--force") == 0
        np.testing.assert_array_equal(pixels(converted(tmp_path, "Dataset030_Own")[0].training[0].label), box(6, 7))


def test_labels_that_no_mask_has_are_refused(tmp_path, capsys):
    arguments = _pairs(tmp_path / "s")
    assert run(tmp_path, *arguments, "--threshold", "127", "--labels", "1:a", "2:b") == 2
    assert "--labels: expected names of the values 1, found b, which no mask has" in capsys.readouterr().err
    assert run(tmp_path, *arguments, "--threshold", "127", "--labels", "1:a", "--channel", "R", "G") == 2
    assert "--channel: expected 1 name" in capsys.readouterr().err


def segmentation(path, array, spacing, first, names):
    """A .seg.nrrd of 3D Slicer. array: (x, y, z), placed at voxel `first` of an image at 0."""
    lines = ["NRRD0004", "type: uint8", "dimension: 3", "space: right-anterior-superior", "encoding: raw"]
    lines.append(f"sizes: {' '.join(map(str, array.shape))}")
    lines.append("space directions: " + " ".join(f"({','.join(map(str, row))})" for row in np.eye(3) * spacing))
    lines += ["kinds: domain domain domain", f"space origin: ({','.join(str(at * spacing) for at in first)})"]
    for number, (name, value) in enumerate(names.items()):
        lines += [f"Segment{number}_Name:={name}", f"Segment{number}_LabelValue:={value}", f"Segment{number}_Layer:=0"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + array.astype(np.uint8).tobytes(order="F"))


def test_segmentations_of_3d_slicer_keep_their_names_and_place(tmp_path, capsys):
    """The same segment may have another value in each file, and a cropped file lies somewhere in its image."""
    pytest.importorskip("SimpleITK")
    source, cropped, whole = tmp_path / "s", np.zeros((3, 2, 2)), np.zeros((5, 6, 7))
    for seed, name in enumerate("ab"):
        save_nifti(source / "i" / f"{name}.nii.gz", noise(5, 6, 7, seed=seed), 2.0)
    cropped[1, 1, 0], whole[2, 3, 4] = 2, 1
    segmentation(source / "m" / "a.seg.nrrd", cropped, 2.0, (1, 3, 4), {"liver": 1, "tumour": 2})
    segmentation(source / "m" / "b.seg.nrrd", whole, 2.0, (0, 0, 0), {"tumour": 1})
    arguments = ("pairs", "-i", source / "i", "-l", source / "m", "-d", "30", "--name", "Own")
    assert run(tmp_path, *arguments) == 0
    dataset, described = converted(tmp_path, "Dataset030_Own")
    assert described["labels"] == {"background": 0, "liver": 1, "tumour": 2}
    first, second = (np.asarray(nib.load(case.label).dataobj) for case in dataset.training)
    assert first.shape == second.shape == (5, 6, 7)
    assert first.sum() == first[2, 4, 4] == 2 and second.sum() == second[2, 3, 4] == 2
    segmentation(source / "m" / "b.seg.nrrd", whole, 2.0, (1, 0, 0), {"tumour": 1})
    assert run(tmp_path, *arguments, "--force") == 2
    assert "b.seg.nrrd: expected a grid that is a part of that of b.nii.gz" in capsys.readouterr().err


def test_all_faults_of_a_folder_are_named_in_one_go(tmp_path, capsys):
    """Both masks are white; then one mask has another size than its image, and the other image is damaged."""
    arguments = _pairs(tmp_path / "s")
    names = sorted(file.stem for file in (tmp_path / "s" / "masks").iterdir())
    assert run(tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert f"{len(names)} faults:" in error and all(
        f"masks/{name}.png: expected label values" in error for name in names
    )
    save_picture(tmp_path / "s" / "masks" / f"{names[0]}.png", box(9, 9, value=255))
    (tmp_path / "s" / "masks" / f"{names[1]}.png").write_bytes(b"nothing")
    assert run(tmp_path, *arguments, "--threshold", "127") == 2
    error = capsys.readouterr().err
    assert "2 faults:" in error and f"{names[0]}.png" in error and f"{names[1]}.png" in error
    assert not list((tmp_path / "raw").glob("Dataset030*"))


@pytest.mark.parametrize("affix", ["_mask", " masks", "-SEG", "_labels", ".gt", "_groundtruth", "_annotation"])
def test_common_names_of_masks_beside_their_images(tmp_path, affix):
    for name in ("a", "b"):
        save_picture(tmp_path / "s" / f"{name}.png", box(6, 7, value=90))
        save_picture(tmp_path / "s" / f"{name}{affix}.png", box(6, 7))
    assert run(tmp_path, "pairs", "-i", tmp_path / "s", "-l", tmp_path / "s", "-d", "30", "--name", "Own") == 0
    assert [case.name for case in converted(tmp_path, "Dataset030_Own")[0].training] == ["a", "b"]
