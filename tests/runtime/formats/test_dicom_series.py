"""Finding DICOM series in folders, and choosing among them."""

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.formats.dicom_series import choose_series, find_series
from mednca_pipeline.runtime.images import read_image

from ...dicom_series import UID, write_series

sitk = pytest.importorskip("SimpleITK")


def test_subfolders_are_searched_and_name_the_cases(tmp_path):
    write_series(tmp_path / "Größe" / "T2", uid=f"{UID}.1")
    write_series(tmp_path / "b", uid=f"{UID}.2", positions=(0, 2, 4))
    (tmp_path / "b" / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    found = find_series(tmp_path)
    assert [(series.name, series.uid, len(series.files)) for series in found] == [
        ("Größe_T2", f"{UID}.1", 4),
        ("b", f"{UID}.2", 3),
    ]
    assert [read_image(series.files).array.shape[1] for series in found] == [4, 3]
    assert find_series(tmp_path / "empty") == []
    with pytest.raises(InputError, match="no DICOM"):
        read_image(tmp_path / "empty")


def test_names_stay_unique(tmp_path):
    write_series(tmp_path / "a_b" / "c", uid=f"{UID}.1")
    write_series(tmp_path / "a" / "b_c", uid=f"{UID}.2")
    names = [series.name for series in find_series(tmp_path)]
    assert len(set(names)) == 2


def test_several_series_in_one_folder_are_listed_and_chosen(tmp_path):
    write_series(tmp_path / "p1", uid=f"{UID}.9", prefix="A")
    write_series(tmp_path / "p1", uid=f"{UID}.1", prefix="B", positions=(0, 2, 4))
    write_series(tmp_path / "p2", uid=f"{UID}.2")
    found = find_series(tmp_path)
    assert [(series.name, series.uid, series.index) for series in found] == [
        ("p1_series1", f"{UID}.9", 1),
        ("p1_series2", f"{UID}.1", 2),
        ("p2", f"{UID}.2", 1),
    ]
    with pytest.raises(InputError) as error:
        choose_series(found)
    for text in (f"{UID}.9 (4 files", f"{UID}.1 (3 files", "p1", "--series"):
        assert text in str(error.value)
    assert f"{UID}.2" not in str(error.value)
    assert [series.name for series in choose_series(found, ["2"])] == ["p1_series2", "p2"]
    assert [series.name for series in choose_series(found, [f"{UID}.9"])] == ["p1_series1", "p2"]
    assert choose_series(found, ["all"]) == found
    with pytest.raises(InputError, match="no series fits 7"):
        choose_series(found, ["7"])
    with pytest.raises(InputError, match="found 2"):
        read_image(tmp_path / "p1")
    assert read_image(found[1].files).array.shape == (1, 3, 4, 5)


def test_files_without_an_ending_are_recognised(tmp_path):
    expected = write_series(tmp_path)
    for file in sorted(tmp_path.iterdir()):
        file.rename(file.with_suffix(""))
    assert (read_image(tmp_path).array[0] == expected).all()
    assert (read_image(sorted(tmp_path.iterdir())).array[0] == expected).all()


def without_preamble(folder):
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[132:])


def test_files_without_a_preamble_are_read(tmp_path):
    expected = write_series(tmp_path / "series")
    without_preamble(tmp_path / "series")
    assert [len(series.files) for series in find_series(tmp_path)] == [4]
    assert (read_image(tmp_path / "series").array[0] == expected).all()


@pytest.mark.parametrize("place", [0, 5, 11])
@pytest.mark.parametrize("fault", ["cut", "short", "empty", "link"])
def test_a_slice_that_cannot_be_read_is_not_left_out_without_a_word(tmp_path, fault, place):
    write_series(tmp_path / "series", positions=range(0, 36, 3))
    file = sorted((tmp_path / "series").iterdir())[place]
    content = file.read_bytes()
    file.unlink()
    if fault == "link":
        file.symlink_to(tmp_path / "nowhere")
    else:
        file.write_bytes({"cut": content[:-8], "short": content[:200], "empty": b""}[fault])
    with pytest.raises(InputError, match=rf"series.*{file.name}"):
        read_image(tmp_path / "series")
    assert all(series.problem for series in find_series(tmp_path))


def test_what_is_no_slice_may_lie_beside_a_series(tmp_path):
    expected = write_series(tmp_path / "series")
    (tmp_path / "series" / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "series" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    report = bytes(128) + b"DICM" + b"\2\0\2\0UI\x1e\x001.2.840.10008.5.1.4.1.1.88.33\0"
    (tmp_path / "series" / "report.dcm").write_bytes(report)
    assert (read_image(tmp_path / "series").array[0] == expected).all()
    assert [series.problem for series in find_series(tmp_path)] == [None]
