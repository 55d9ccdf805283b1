"""The demo, made tiny: every command of the pipeline in a row, and what they leave behind."""

import contextlib
import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from mednca_pipeline import demo

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[1]
TINY = demo.DemoSize(n_train=5, n_test=2, size=(26, 20), training=("--iterations", "2"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(folder, what was printed) of one tiny run."""
    root = tmp_path_factory.mktemp("demo")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("PYTHONPATH", str(CHECKOUT))  # of the trainings
        demo.run_demo(root, TINY)
    return root, printed.getvalue()


def test_it_shows_every_command_as_a_user_would_type_it(finished):
    root, printed = finished
    typed = [line for line in printed.splitlines() if line.startswith("$ ")]
    assert [line.split()[1] for line in typed] == [
        f"mednca_{name}" for name in ("plan_and_preprocess", "crossval", "predict", "evaluate", "plot")
    ]
    assert (
        typed[1]
        == f"$ mednca_crossval 1 --models mednca unet_small --folds 0 1 --iterations 2 --jobs 2 -np 0 --root {root}"
    )


def test_two_folds_of_both_models_are_compared_on_the_same_cases(finished):
    root, printed = finished
    with open(root / "results" / demo.DATASET / "comparison.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == {"mednca_2d", "unet_small_2d"}
    assert {row["class"] for row in rows} == {"anterior", "posterior", "foreground"}
    assert {row["cases"] for row in rows} == {"2"}  # two of five folds of five cases
    assert printed.rindex("Dice") > printed.rindex("$ mednca_plot")  # the table is printed last


def test_unseen_phantoms_are_segmented_in_their_own_geometry(finished):
    root, _ = finished
    for name in ("unseen_000", "unseen_001"):
        image = Image.open(root / "raw" / demo.DATASET / "imagesTs" / f"{name}_0000.png")
        labels = Image.open(root / "predictions" / f"{name}.png")
        assert labels.size == image.size
    summary = json.loads((root / "predictions" / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["cases"]) == {"unseen_000", "unseen_001"} and summary["units"]["distance"] == "pixels"


def test_it_ends_with_the_paths_of_what_it_wrote(finished):
    root, printed = finished
    named = re.findall(rf"{re.escape(str(root))}\S*", printed[printed.rindex("comparison.md") - 500 :])
    assert [path for path in named if not Path(path).exists()] == []
    endings = {Path(path).name for path in named}
    assert {"comparison.md", "comparison.png", "plans.json", "quality.csv", "predictions"} <= endings
    assert any(Path(path).parent.name == "pictures" and path.endswith(".png") for path in named)


def test_trainings_that_are_cut_short_are_warned_of(finished):
    """Two iterations are less than half of any schedule."""
    _, printed = finished
    table = " ".join(printed[printed.rindex("$ mednca_plot") :].split())
    for model in ("mednca_2d", "unet_small_2d"):
        assert re.search(rf"warning: {model} got \d+ % of its planned schedule", table)


def test_the_demo_itself_lets_the_plan_decide_how_long_to_train():
    assert demo.DemoSize().training == ()


def test_a_failing_step_stops_the_demo_with_its_exit_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "_write_phantoms", lambda folder, size: None)
    assert demo.main(["--root", str(tmp_path / "empty")]) == 2
    shown = capsys.readouterr()
    assert "exit code 2" in shown.err
    assert "mednca_crossval" not in shown.out


def test_quiet_prints_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "run_demo", lambda root, size, flags: print("a table", *flags))
    assert demo.main(["--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "a table\n"
    assert demo.main(["--root", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
