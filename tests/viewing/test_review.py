"""A folder of predictions as a list: its order, and which files belong to a case."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import read_image, read_labels
from mednca_pipeline.viewing.review import as_nifti, review_cases

from ..dicom_series import write_series

MASK = np.array([[[0, 1], [2, 0]]], np.uint8)
FLAGS = {"a": ("ok", "0.01"), "b": ("review", "0.2"), "c": ("review", "0.3"), "d": ("empty", ""), "e": ("ok", "0.02")}


@pytest.fixture
def folders(tmp_path):
    """Predictions a to e with a table, and f which is not in it; images of a and b, a reference of a."""
    predictions, images, references = (tmp_path / name for name in ("out", "in", "labels"))
    for folder in (predictions, images, references):
        folder.mkdir()
    for name in (*FLAGS, "f"):
        nib.save(nib.Nifti1Image(MASK, np.eye(4)), predictions / f"{name}.nii.gz")
    rows = [f"{name},{name}.nii.gz,{flag},because,{score}" for name, (flag, score) in FLAGS.items()]
    (predictions / "quality.csv").write_text("\n".join(["case,file,flag,reason,quality_foreground", *rows]) + "\n")
    for name in "ab":
        nib.save(nib.Nifti1Image(MASK * 100, np.eye(4)), images / f"{name}_0000.nii.gz")
    nib.save(nib.Nifti1Image(MASK, np.eye(4)), references / "a.nii.gz")
    return predictions, images, references


def test_flagged_cases_come_first_and_the_highest_score_among_them(folders):
    cases = review_cases(folders[0], None, None)
    assert [(case.name, case.flag) for case in cases] == [
        ("c", "review"),
        ("b", "review"),
        ("d", "empty"),
        ("f", ""),
        ("e", "ok"),
        ("a", "ok"),
    ]
    assert (cases[0].reason, cases[0].quality) == ("because", "0.3")


def test_cases_have_their_image_and_reference(folders):
    predictions, images, references = folders
    cases = {case.name: case for case in review_cases(*folders)}
    assert cases["a"].prediction == (predictions / "a.nii.gz",)
    assert cases["a"].image == (images / "a_0000.nii.gz",) and cases["a"].reference == (references / "a.nii.gz",)
    assert cases["b"].image and not cases["b"].reference and not cases["c"].image


def test_a_folder_without_a_table_is_listed_by_name(folders):
    (folders[0] / "quality.csv").unlink()
    assert [case.name for case in review_cases(folders[0], None, None)] == list("abcdef")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_link_out_of_a_folder_is_refused(tmp_path, folders, which):
    secret = tmp_path / "secret.nii.gz"
    nib.save(nib.Nifti1Image(MASK, np.eye(4)), secret)
    link = folders[which] / ("a_0000.nii.gz" if which == 1 else "a.nii.gz")
    link.unlink()
    link.symlink_to(secret)
    with pytest.raises(InputError, match=r"expected a file in .*, found a link to .*secret"):
        review_cases(*folders)


def test_a_folder_that_is_a_link_is_taken(tmp_path, folders):
    (tmp_path / "link").symlink_to(folders[0])
    assert len(review_cases(tmp_path / "link", None, None)) == 6


def test_nifti_files_are_shown_as_they_are(tmp_path, folders):
    file = folders[0] / "a.nii.gz"
    assert as_nifti((file,), tmp_path / "scratch")() == file and not (tmp_path / "scratch").exists()


def test_other_formats_are_converted_when_they_are_asked_for(tmp_path):
    picture, scratch = tmp_path / "x.png", tmp_path / "scratch"
    values = np.arange(20, dtype=np.uint8).reshape(4, 5)
    Image.fromarray(values).save(picture)
    shown = as_nifti((picture,), scratch)
    assert not scratch.exists()
    np.testing.assert_array_equal(read_labels(shown()).array[0], values)
    assert shown().name == "x.png.nii.gz" and shown().parent == scratch


def test_a_dicom_series_is_shown_as_one_volume(tmp_path):
    array = write_series(tmp_path / "series")
    files = tuple(sorted((tmp_path / "series").iterdir()))
    np.testing.assert_array_equal(read_image(as_nifti(files, tmp_path / "scratch")()).array[0], array)
