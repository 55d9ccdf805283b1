"""mednca_info: what a person is told of a model."""

from mednca_pipeline.cli.info import main as info

from .exports import exported


def test_what_a_person_is_told(place, capsys):
    out = exported(place, "--dtype", "float16")
    capsys.readouterr()
    assert info([str(out)]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines() if str(place) not in line)
    words = " ".join(text.split())
    for told in (
        "tiny.mednca",
        "weights in float16",
        "mednca in 2d of Dataset004_Tiny; folds 0 1, averaged",
        "anterior (1), posterior (2)",
        "foreground: Dice 0.850",
        "not for clinical use",
        "2,000 iterations",
        "licence of the data: not stated",
        "2 components of anterior",
    ):
        assert told in words
    assert info(["mednca", "--root", str(place / "workspace")]) == 0
    folder = " ".join(capsys.readouterr().out.split())
    assert words[words.index("model ") : words.index("use ")] == folder[folder.index("model ") : folder.index("use ")]
