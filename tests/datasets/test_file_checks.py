"""What the names of the files say: nothing in a dataset's folders is lost."""

import pytest

from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.datasets.file_checks import check_files

from .raw_folders import image_array, make_raw, save


@pytest.mark.parametrize("folder", ["imagesTr", "labelsTr"])
@pytest.mark.parametrize("name", ["d_0000.nii", "d.nrrd", "d.PNG", "d.nhdr"])
def test_an_image_in_another_format_is_not_passed_over(tmp_path, folder, name):
    raw = make_raw(tmp_path / "raw")
    (raw / folder / name).write_bytes(b"x")
    (found,) = check_files(load_dataset(raw))
    assert (found.severity, found.file) == ("fatal", raw / folder / name)


@pytest.mark.parametrize("folder", ["imagesTr", "labelsTr"])
def test_a_link_to_a_file_that_is_not_there_is_fatal(tmp_path, folder):
    raw = make_raw(tmp_path / "raw")
    file = sorted((raw / folder).iterdir())[1]
    file.unlink()
    file.symlink_to(tmp_path / "annex" / "b")
    (found,) = check_files(load_dataset(raw))
    assert (found.severity, found.case, found.file) == ("fatal", "b", file)
    assert found.found == "a link to a file that is not there"


def test_a_link_that_leads_somewhere_is_a_file_like_others(tmp_path):
    raw = make_raw(tmp_path / "raw")
    file = raw / "imagesTr" / "b_0000.nii.gz"
    file.unlink()
    file.symlink_to(save(tmp_path / "annex" / "b.nii.gz", image_array(3)))
    assert check_files(load_dataset(raw)) == []
