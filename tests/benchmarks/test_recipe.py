"""The scripts of the search: what they change in a plan, and what they say of curves."""

import argparse
import csv
import json
import re
from pathlib import Path

import pytest

from benchmarks.recipe import finals, screen, stability
from benchmarks.recipe.screen import changed, prepare
from benchmarks.recipe.variants import VARIANTS
from mednca_pipeline.cli.plan_and_preprocess import main as plan
from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.results.summary import CaseResult
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.workspace import Workspace

pytestmark = pytest.mark.slow

PLANS = Path(__file__).parents[2] / "plans" / "reference" / "Dataset012_PROMISE12" / "plans.json"


def rows_of(losses=(1.0, 0.5), magnitude=3.0, empty=0, seed=0, problem=""):
    return [
        {
            "commit": "c0ffee",
            "plan": "ab12",
            "seed": seed,
            "iterations": 20,
            "iteration": 10 * (index + 1),
            "loss": loss,
            "dice": 0.5,
            "magnitude": magnitude,
            "restores": index,
            "final_dice": 0.8 + seed / 100,
            "empty_cases": empty,
            "problem": problem,
        }
        for index, loss in enumerate(losses)
    ]


def test_variant_changes_the_named_fields_alone():
    plan = read_plans(PLANS).config().models["mednca"]
    made = changed(plan, {"training.batch_size": 3, "levels": [[8, 11, None], [1, 4, 32]], "hidden": 96})
    assert (made.training.batch_size, made.hidden, made.channels) == (3, 96, plan.channels)
    assert [(level.factor, level.steps, level.patch) for level in made.levels] == [
        ((8, 8), 11, None),
        ((1, 1), 4, (32, 32)),
    ]
    assert made.training.learning_rate == plan.training.learning_rate
    with pytest.raises(TypeError):
        changed(plan, {"no_such_field": 1})


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (rows_of(), ""),
        (rows_of(losses=(0.5, 0.6)), "loss rose from 0.500 to 0.600"),
        (rows_of(losses=(1.0, float("nan"))), "not finite"),
        (rows_of(magnitude=float("inf")), "not finite"),
        (rows_of(empty=2), "2 empty predictions"),
    ],
)
def test_collapse_is_named(rows, problem):
    assert stability.problem_of(rows) == problem


def test_table_of_seeds_counts_restores_and_names_the_collapsed(tmp_path, monkeypatch):
    monkeypatch.setattr(stability, "OUT", tmp_path)
    stability.append("Dataset900_Made", rows_of(seed=0))
    stability.append("Dataset900_Made", rows_of(seed=7, losses=(0.5, 0.6), problem="loss rose, much\nindeed"))
    assert [row["seed"] for row in stability.read("Dataset900_Made")] == ["0", "0", "7", "7"]
    stability.report("-d 900")
    table = (tmp_path / "stability.md").read_text(encoding="utf-8")
    assert "| Dataset900_Made | 2 | 20 to 20 | 0.800 to 0.870 | 2 | seed 7: loss rose; much;indeed |" in table
    assert (tmp_path / "stability.png").stat().st_size > 1000


def test_seeds_of_another_plan_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(stability, "OUT", tmp_path)
    assert stability.seeds_of("Dataset900_Made", "ab12") == set()
    stability.append("Dataset900_Made", [*rows_of(seed=0), *rows_of(seed=7)])
    assert stability.seeds_of("Dataset900_Made", "ab12") == {0, 7}
    with pytest.raises(InputError, match="seeds of the plan ab12, and the present one is cd34: remove the file"):
        stability.seeds_of("Dataset900_Made", "cd34")


def test_committed_finals_have_their_curves_and_weights():
    rows = finals.read()
    assert rows
    for row in rows:
        kept = finals.OUT / "finals" / finals.name_of(row)
        with (kept / "training.csv").open(encoding="utf-8") as stream:
            curve = list(csv.DictReader(stream))
        assert int(curve[-1]["iteration"]) == int(row["iterations"])
        assert (kept / "final.safetensors").exists() == row["model"].startswith("mednca")
    table = (finals.OUT / "finals.md").read_text(encoding="utf-8")
    assert all(f"{int(row['iterations']):,}" in table for row in rows)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A workspace with a planned dataset of nine cases in three folds."""
    root = tmp_path_factory.mktemp("planned")
    write_phantom_dataset(root / "raw" / "Dataset002_Nine", n_train=9, n_test=0, seed=0, size=(4, 26, 24))
    assert plan(["-d", "2", "--root", str(root), "-np", "0", "--folds", "3", "--config", "2d", "--quiet"]) == 0
    return root


def test_screens_train_and_hold_out_inside_the_training_cases_of_fold_0(planned, tmp_path):
    arguments = argparse.Namespace(d="2", config="2d", model="mednca")
    dataset, config = prepare(planned, tmp_path, arguments, {"hidden": 80})
    given, made = Workspace(planned), Workspace(tmp_path)
    cases = CaseStore(given.preprocessed_folder(dataset, config)).cases()
    reported = read_splits(given.splits_file(dataset), cases)[0]
    (fold,) = read_splits(made.splits_file(dataset), cases)
    assert set(fold.train) | set(fold.val) <= set(reported.train)
    assert not set(fold.train) & set(fold.val)
    assert fold.val
    assert read_plans(made.plans_file(dataset)).config(config).models["mednca"].hidden == 80
    assert read_plans(given.plans_file(dataset)).config(config).models["mednca"].hidden == 64


def test_rows_older_than_the_columns_of_robustness_are_read():
    with screen.RUNS.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == screen.COLUMNS
    assert all(float(row["mean_class_dice"]) > 0 for row in rows)
    assert not rows[0]["robust_dice"]


def test_a_screen_says_how_robust_its_variant_is(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "RUNS", tmp_path / "runs.csv")
    command = ["screen", "--root", str(planned), "-d", "2", "--config", "2d", "--robust", "1", "--budget", "1s"]
    monkeypatch.setattr("sys.argv", [*command, "--variants", "artefacts0.5"])
    screen.main()
    with screen.RUNS.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    artefacts = json.loads(row["artefact_dice"])
    assert {"noise", "blur", "zoom"} <= set(artefacts)
    assert row["robust_cases"] == "1" and 0 <= float(row["clean_dice"]) <= 1
    assert float(row["robust_dice"]) == pytest.approx(sum(artefacts.values()) / len(artefacts), abs=2e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_changes_the_present_plan_of_its_dataset(name):
    own = {
        "p": "Dataset012_PROMISE12",
        "b": "Dataset020_BUSI",
        "c": "Dataset021_ChestXray",
        "mirrored": "Dataset020_BUSI",
    }
    dataset = own.get(name.split("_")[0])
    plans = read_plans(PLANS.parents[1] / (dataset or "Dataset004_Hippocampus") / "plans.json")
    plan = plans.config().models["mednca"]
    made = changed(plan, screen.suited(VARIANTS[name], plans.channel_names, 2))
    assert (made == plan) == (name == "plan")
    fixed = plans.input_channels(made)
    if "channels" in VARIANTS[name]:
        assert (made.channels - fixed) % 8 == 0
    assert made.channels > fixed + plans.labels.n_outputs


def test_a_final_has_what_the_plan_keeps_and_the_raw_means_beside_it(tmp_path):
    def metrics(dice):
        return {"dice": dice, "hd95": 10 * (1 - dice), "nsd": dice, "volume_predicted": 1.0, "volume_reference": 1.0}

    classes = {name: metrics(0.9) for name in ("a", "b", "foreground")}
    raw = {"a": metrics(0.7), "b": metrics(0.8), "foreground": metrics(0.6)}
    fold, case = FoldFolder(tmp_path / "fold_0"), CaseResult(classes, 2.0, raw=raw)
    fold.write_run(RunRecord(training_minutes=1.0, command="mednca_train"))
    fold.write_summary(make_summary({"case": case}, Units(False), components={"a": 1, "b": 2}))
    row = finals.final_of(fold, "1min", Workspace(tmp_path))
    assert (row["mean_class_dice"], row["foreground_dice"], row["foreground_hd95"]) == (0.9, 0.9, 1.0)
    cells = {name: str(value) for name, value in row.items()} | {"largest_component_dice": ""}
    assert finals.kept_cell(cells) == "1 component of a, 2 components of b"
    assert finals.raw_cell(cells) == "0.7500, 0.6000, 4.0 voxels"
    fold.write_summary(make_summary({"case": CaseResult(classes, 2.0)}, Units(False), components={}))
    cells = {name: str(value) for name, value in finals.final_of(fold, "1min", Workspace(tmp_path)).items()}
    assert finals.kept_cell(cells | {"largest_component_dice": ""}) == "all" and finals.raw_cell(cells) == ""


@pytest.mark.parametrize(
    ("name", "table", "fewest"),
    [("recipe", "| dataset | earlier Dice", 12), ("recipe-notebook", "| dataset, minutes |", 20)],
)
def test_pages_of_the_recipe_have_the_figures_of_the_finals(name, table, fewest):
    page = (finals.ROOT / "docs" / "explanation" / f"{name}.md").read_text(encoding="utf-8")
    shown = page.split(table)[1].split("\n\n")[0]
    stated = set(re.findall(r"\b0\.\d{4}\b|\b\d+,\d{3}\b", shown))
    assert len(stated) > fewest
    known = (finals.OUT / "finals.md").read_text(encoding="utf-8")
    assert sorted(figure for figure in stated if figure not in known) == []
