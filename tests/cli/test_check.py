import pytest

from mednca_pipeline.cli.check import main

from ..datasets.raw_folders import SHAPE_XYZ, label_array, make_raw, save


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    make_raw(tmp_path / "raw" / "Dataset001_Good")
    return tmp_path


def test_a_good_dataset_exits_with_0(workspace, capsys):
    assert main(["-d", "1", "--root", str(workspace), "-np", "0"]) == 0
    assert "3 training and 0 test cases, nothing to report" in capsys.readouterr().out


def test_a_fatal_finding_exits_with_2_and_is_in_the_table_of_all(workspace, capsys):
    bad = make_raw(workspace / "raw" / "Dataset002_Bad")
    save(bad / "labelsTr" / "a.nii.gz", label_array() * 0)
    save(bad / "labelsTr" / "b.nii.gz", label_array((SHAPE_XYZ[0], SHAPE_XYZ[1], 2)))
    (bad / "imagesTr" / "x[red].txt").write_text("x", encoding="utf-8")
    assert main(["-d", "1", "002", "--root", str(workspace)]) == 2
    out = capsys.readouterr().out
    for text in ("fatal", "labelsTr/b.nii.gz", "shape (2, 5, 6)", "shape (4, 5, 6)", "x[red].txt", "only background"):
        assert text in out
    assert "1 fatal, 1 warning, 1 note" in out
    assert "Dataset001_Good: 3 training" in out


def test_quiet_says_nothing_about_notes(workspace, capsys):
    save(workspace / "raw" / "Dataset001_Good" / "labelsTr" / "a.nii.gz", label_array() * 0)
    assert main(["-d", "1", "--root", str(workspace), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [["-d", "9"], ["-d", "1", "-np", "-1"]])
def test_a_wrong_command_line_exits_with_2(workspace, capsys, arguments):
    assert main([*arguments, "--root", str(workspace)]) == 2
    assert capsys.readouterr().err.startswith("error:")
