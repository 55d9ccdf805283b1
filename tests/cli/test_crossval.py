"""The command mednca_crossval."""

from pathlib import Path

import pytest

from mednca_pipeline.cli.crossval import main

from ..crossval.fabricated import BOTH, fold_folder, make_workspace, plant_weights


@pytest.fixture
def workspace(tmp_path):
    return make_workspace(tmp_path)


def test_command_prints_the_table_and_the_exit_code_names_the_kind_of_failure(workspace, monkeypatch, capsys):
    import mednca_pipeline.crossval.options as library

    made, script = library.CrossvalOptions, (str(workspace.root / "train.py"),)
    monkeypatch.setattr(library, "CrossvalOptions", lambda **given: made(**given, runner=script))
    arguments = ["4", "--models", "mednca", "--root", str(workspace.root)]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(workspace.root)
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "1.000 ± 0.000" in output
    assert [line for line in output.splitlines() if len(line) > 80] == []
    assert str(Path("Dataset004_Hippocampus") / "comparison.md") in output
    (fold_folder(workspace, 1) / "run.json").unlink()
    (workspace.root / "broken").touch()
    assert main(arguments) == 2
    assert "failed: mednca_2d fold 1: case x is broken" in capsys.readouterr().err
    (workspace.root / "broken").unlink()
    both = ["4", "--models", *BOTH, "--root", str(workspace.root)]
    assert main(both) == 0
    plant_weights(workspace)
    capsys.readouterr()
    assert main([*both, "--ensemble"]) == 0
    assert "mednca_2d +" in capsys.readouterr().out
