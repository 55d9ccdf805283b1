"""mednca_predict: where and how large the voxels of an image are."""

import nibabel as nib
import numpy as np

from ..inference.tiny_model import SPACING, make_image, make_plans, save_model, two_dimensional, write_image
from .predicting import predict, rows


def test_permuted_and_flipped_copies_give_the_same_segmentation(workspace, tmp_path):
    original = nib.load(write_image(tmp_path / "in" / "a_0000.nii.gz", make_image()))
    turned = original.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(turned, tmp_path / "in" / "turned_0000.nii.gz")
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    first, second = nib.load(tmp_path / "out" / "a.nii.gz"), nib.load(tmp_path / "out" / "turned.nii.gz")
    assert second.shape != first.shape == original.shape
    np.testing.assert_allclose(second.affine, turned.affine, atol=1e-5)
    back = nib.as_closest_canonical(second).get_fdata()
    np.testing.assert_array_equal(nib.as_closest_canonical(first).get_fdata(), back)
    assert len(np.unique(back)) > 1
    assert (
        rows(tmp_path / "out")["a.nii.gz"]["quality_foreground"]
        == (rows(tmp_path / "out")["turned.nii.gz"]["quality_foreground"])
    )


def test_a_spacing_that_training_never_saw_nearly_is_refused_and_the_others_are_done(workspace, tmp_path, capsys):
    write_image(tmp_path / "in" / "good.nii.gz", make_image())
    write_image(tmp_path / "in" / "thick.nii.gz", make_image(), spacing=(1000.0, 1.0, 1.5))
    metres = nib.load(write_image(tmp_path / "in" / "metres.nii.gz", make_image()))
    metres = nib.Nifti1Image(np.asarray(metres.dataobj), metres.affine)
    metres.header["xyzt_units"] = 1
    nib.save(metres, tmp_path / "in" / "metres.nii.gz")
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "good.nii.gz",
        "made_from.json",
        "quality.csv",
    ]
    said = rows(tmp_path / "out")["thick.nii.gz"]["warnings"]
    for text in (
        str(tmp_path / "in" / "thick.nii.gz"),
        "found spacing z 1000 mm",
        "expected z 2 mm, as Dataset004_Tiny",
    ):
        assert text in said
    said = rows(tmp_path / "out")["metres.nii.gz"]["warnings"]
    assert "z 2000 mm, y 1000 mm, x 1500 mm, as the header is in metres" in said and "xyzt_units" in said
    assert "fault of ours" not in capsys.readouterr().err


def test_one_slice_and_a_model_of_volumes_name_both(workspace, tmp_path, capsys):
    write_image(tmp_path / "in" / "slice.nii.gz", make_image(shape=(1, 14, 11)))
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "slice.nii.gz: expected volumes (z, y, x), as Dataset004_Tiny was trained on" in said
    assert "found one slice of 14 x 11 pixels. Give the whole volume" in said
    save_model(tmp_path / "flat", two_dimensional(make_plans()), folds=(0,))
    write_image(tmp_path / "volumes" / "a.nii.gz", make_image())
    assert predict(tmp_path / "flat", tmp_path / "volumes", tmp_path / "out2") == 2
    said = capsys.readouterr().err
    assert "expected 2D images (y, x), as Dataset004_Tiny" in said and "found a volume of 5 x 14 x 11 voxels" in said


def test_an_image_without_an_orientation_is_predicted_with_a_word(workspace, tmp_path):
    image = nib.Nifti1Image(make_image().transpose(2, 1, 0), None)
    image.header.set_zooms(SPACING[::-1])
    (tmp_path / "in").mkdir()
    nib.save(image, tmp_path / "in" / "a.nii.gz")
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 0
    assert "no orientation (sform_code and qform_code are 0)" in rows(tmp_path / "out")["a.nii.gz"]["warnings"]
    header = nib.load(tmp_path / "out" / "a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
