"""mednca_models: the models of the workspace, installed and shipped ones."""

from mednca_pipeline.cli.install import main as install
from mednca_pipeline.cli.models import main as models

from .exports import exported


def test_models_are_listed(place, capsys):
    assert models([]) == 0
    assert "No model here" in capsys.readouterr().out
    install([str(exported(place))])
    capsys.readouterr()
    assert models(["--root", str(place / "workspace")]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    lines = [line.split() for line in text.splitlines()]
    assert ["mednca_2d", "-d", "4", "Dataset004_Tiny", "0", "1", "0.850"] in [line[:7] for line in lines]
    assert any(line[:1] == ["tiny"] and line[-1:] == ["installed"] for line in lines)
