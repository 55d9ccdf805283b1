"""The one comparison of geometry, and files without an orientation or with two of them."""

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.runtime.alignment import Placed, compare, header_doubts
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import read_image, read_labels

from ..nifti_files import AFFINES, SHEARED, affine_of, save_nifti

SHAPE = (4, 5, 6)  # (i, j, k)
VOXELS = np.arange(120, dtype=np.int16).reshape(SHAPE)


def without_orientation(path, array=VOXELS, spacing=(0.7, 1.1, 2.5), analyze=False):
    """A file with a spacing and nothing else about its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if analyze:
        nib.save(nib.AnalyzeImage(array, np.diag([*spacing, 1.0])), path.with_suffix(".img"))
        return path.with_suffix(".hdr")
    image = nib.Nifti1Image(array, None)
    image.header.set_zooms(spacing)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, path)
    return path


def two_forms(path, sform, qform, array=VOXELS):
    image = nib.Nifti1Image(array, None)
    image.set_sform(sform, 1)
    image.set_qform(qform, 1)
    nib.save(image, path)
    return path


def placed(path):
    return Placed(path, read_image(path).geometry)


@pytest.mark.parametrize("orientation", AFFINES)
@pytest.mark.parametrize("analyze", [False, True])
def test_voxels_without_an_orientation_take_over_that_of_the_other_file(tmp_path, orientation, analyze):
    image = read_image(save_nifti(tmp_path / "image.nii.gz", VOXELS, AFFINES[orientation]))
    file = without_orientation(tmp_path / "label.nii.gz", analyze=analyze)
    assert (read_labels(file, on=image.geometry).array == image.array).all()
    label = read_labels(file)
    assert not label.geometry.oriented and image.geometry.oriented
    assert (image.on(label.geometry).array == label.array).all()  # either way round
    (found,) = compare(placed(file), Placed(tmp_path / "image.nii.gz", image.geometry))
    assert (found.quantity, found.fatal) == ("orientation", False)
    assert "no orientation" in found.found and found.expected == "the orientation of image.nii.gz"
    (found,) = compare(Placed(tmp_path / "image.nii.gz", image.geometry), placed(file))
    assert file.name in found.found and found.expected == "the orientation of image.nii.gz"


def test_files_with_an_orientation_keep_it(tmp_path):
    ras, lps = (
        read_image(save_nifti(tmp_path / f"{name}.nii.gz", VOXELS, AFFINES[name])).geometry for name in ("ras", "lps")
    )
    label = read_labels(tmp_path / "ras.nii.gz")
    assert label.on(lps) is label
    assert (read_labels(tmp_path / "ras.nii.gz", on=lps).array == label.array).all() and ras != lps


def test_without_an_orientation_shape_and_spacing_are_compared_as_they_are_stored(tmp_path):
    image = placed(save_nifti(tmp_path / "image.nii.gz", VOXELS, AFFINES["sagittal"]))
    turned = placed(without_orientation(tmp_path / "turned.nii.gz", VOXELS.transpose(2, 0, 1)))
    (found,) = compare(turned, image)
    assert (found.quantity, found.fatal, found.found) == ("shape", True, "shape (6, 4, 5)")
    assert found.expected.startswith("shape (4, 5, 6) of image.nii.gz") and "Export turned.nii.gz" in found.remedy
    thick = placed(without_orientation(tmp_path / "thick.nii.gz", spacing=(0.7, 1.1, 5.0)))
    spacing, orientation = compare(thick, image)
    assert (spacing.quantity, spacing.fatal, spacing.found) == ("spacing", True, "spacing (0.7, 1.1, 5)")
    assert not compare(thick, image, spacing_known=False)[0].fatal and orientation.quantity == "orientation"


def test_two_files_without_an_orientation_match(tmp_path):
    one, other = (placed(without_orientation(tmp_path / f"{name}.nii.gz")) for name in "ab")
    analyze = placed(without_orientation(tmp_path / "c.hdr", analyze=True))
    assert compare(one, other) == compare(one, analyze) == []


def test_a_slice_without_an_orientation(tmp_path):
    image = read_image(save_nifti(tmp_path / "image.nii.gz", VOXELS[:, :, :1], AFFINES["ras"]))
    file = without_orientation(tmp_path / "label.nii.gz", VOXELS[:, :, 0], (0.7, 1.1))
    assert (read_labels(file, on=image.geometry).array == image.array).all()


@pytest.mark.parametrize("of_label", [True, False])
def test_forms_that_disagree_are_named_and_the_remedy_keeps_the_voxels(tmp_path, of_label):
    """The qform of one file agrees with the other file, its sform is turned and 3 mm away at most."""
    good, bad = AFFINES["ras"], affine_of(np.eye(3), origin=(-12.5, 30.25, 10.0))
    files = [two_forms(tmp_path / "odd.nii.gz", bad, good), save_nifti(tmp_path / "good.nii.gz", VOXELS, good)]
    label, image = files if of_label else files[::-1]
    (found,) = compare(placed(label), placed(image))
    assert (found.quantity, found.fatal) == ("origin", False)
    assert "sform, which is used" in found.found and "qform" in found.found and "3 mm away" in found.found
    assert found.remedy.startswith(f"Copy the header of {image.name} to {label.name}: their voxels match one to one")


def test_forms_that_mirror_the_label_are_fatal_and_need_no_resampling(tmp_path):
    good, mirrored = AFFINES["ras"], affine_of(np.diag([-1, 1, 1]))
    image = placed(save_nifti(tmp_path / "image.nii.gz", VOXELS, good))
    found = compare(placed(two_forms(tmp_path / "label.nii.gz", mirrored, good)), image)
    assert found and all(one.fatal and "Copy the header" in one.remedy for one in found)
    spaced = affine_of(np.eye(3), spacing=(1, 1, 1))
    (spacing, *_) = compare(placed(two_forms(tmp_path / "label.nii.gz", spaced, good)), image)
    assert (spacing.quantity, spacing.fatal) == ("spacing", True) and "would ruin" in spacing.remedy


def test_another_header_over_the_same_number_of_voxels_is_copied_before_anything_is_resampled(tmp_path):
    image = placed(save_nifti(tmp_path / "image.nii.gz", VOXELS, AFFINES["ras"]))
    label = placed(save_nifti(tmp_path / "label.nii.gz", VOXELS, np.diag([1.0, 1.0, 1.0, 1.0])))
    spacing = compare(label, image)[0]
    assert spacing.remedy.startswith("If their voxels match one to one, copy the header of image.nii.gz")


def test_what_a_header_leaves_open_is_said(tmp_path):
    (doubt,) = header_doubts(placed(without_orientation(tmp_path / "a.nii.gz")).geometry)
    assert doubt.startswith("no orientation (sform_code and qform_code are 0)")
    moved = affine_of(np.eye(3), origin=(-12.5, 30.25, 57.0))
    (doubt,) = header_doubts(placed(two_forms(tmp_path / "b.nii.gz", moved, AFFINES["ras"])).geometry)
    assert doubt == "sform and qform up to 50 mm apart: the sform is used"
    for name, affine in AFFINES.items():
        assert not header_doubts(placed(save_nifti(tmp_path / f"{name}.nii.gz", VOXELS, affine)).geometry)
    sheared = nib.Nifti1Image(VOXELS, None)
    sheared.set_sform(SHEARED, 1)
    nib.save(sheared, tmp_path / "sheared.nii.gz")
    assert not header_doubts(placed(tmp_path / "sheared.nii.gz").geometry)


def test_channels_that_would_be_read_mirrored_are_refused(tmp_path):
    files = [save_nifti(tmp_path / f"{name}.nii.gz", VOXELS, AFFINES[name]) for name in ("ras", "lps")]
    with pytest.raises(InputError, match=r"lps\.nii\.gz: expected origin .* of ras"):
        read_image(files)
    plain = without_orientation(tmp_path / "plain.nii.gz")
    image = read_image([files[0], plain])
    assert (image.array[0] == image.array[1]).all()


def test_files_of_one_name_are_called_with_their_folders_and_the_caller_says_what_helps(tmp_path):
    """A prediction and its reference have one name, and nobody resamples a reference."""
    for folder, affine in (("p", AFFINES["ras"]), ("r", affine_of(np.eye(3), spacing=(1, 1, 1)))):
        (tmp_path / folder).mkdir()
        save_nifti(tmp_path / folder / "a.nii.gz", VOXELS, affine)
    both = placed(tmp_path / "r" / "a.nii.gz"), placed(tmp_path / "p" / "a.nii.gz")
    spacing = compare(*both, otherwise="Predict again.")[0]
    assert spacing.expected == "spacing (2.5, 1.1, 0.7) of p/a.nii.gz (tolerance 0.1 %)"
    assert spacing.remedy == (
        "If their voxels match one to one, copy the header of p/a.nii.gz to r/a.nii.gz; if not, predict again."
    )


def test_a_spacing_in_another_unit_is_named_with_the_unit(tmp_path):
    image = nib.Nifti1Image(VOXELS, AFFINES["ras"])
    image.header["xyzt_units"] = 1
    nib.save(image, tmp_path / "metres.nii.gz")
    mm, metres = placed(save_nifti(tmp_path / "mm.nii.gz", VOXELS, AFFINES["ras"])), placed(tmp_path / "metres.nii.gz")
    assert compare(metres, mm)[0].found == "spacing (2500, 1100, 700) mm (its header is in metres)"
    assert "(2500, 1100, 700) mm (its header is in metres) of metres.nii.gz" in compare(mm, metres)[0].expected
