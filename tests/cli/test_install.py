"""mednca_install: a bundle becomes a model with a name."""

import pytest

from mednca_pipeline.cli.install import main as install

from .exports import exported


def test_says_where_it_is_and_how_to_use_it(place, capsys):
    out = exported(place)
    capsys.readouterr()
    assert install([str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert str(place / "models" / "tiny.mednca") in said and "mednca_predict -m tiny -i IMAGES -o OUT" in said
    assert install([str(out), "--name", "second", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert sorted(file.name for file in (place / "models").iterdir()) == ["second.mednca", "tiny.mednca"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.mednca"], "found no such file"),
        (["../tiny.mednca", "--name", "mednca"], "expected a name of its own"),
        (["../in/scan_0000.nii.gz"], "found a file of something else"),
    ],
)
def test_what_cannot_be_installed_is_refused(place, capsys, words, message):
    exported(place)
    assert install(words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (place / "models").exists()


def test_another_model_is_replaced_only_by_force(place, capsys):
    first = install([str(exported(place))])
    other = exported(place, "--folds", "0")
    assert (first, install([str(other)])) == (0, 2)
    assert "replace that model with --force" in " ".join(capsys.readouterr().err.split())
    assert install([str(other), "--force"]) == 0
    assert (place / "models" / "tiny.mednca").read_bytes() == other.read_bytes()
