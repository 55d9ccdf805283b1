"""Validation at the end of a training, and of a trained fold again."""

import csv
import json
import math
import re
import shutil

import pytest

from mednca_pipeline.cli.train import main as train_main
from mednca_pipeline.evaluation.component_removal import apply_postprocessing
from mednca_pipeline.evaluation.metrics import Units, evaluate_case
from mednca_pipeline.evaluation.summary import evaluate_folder, label_files
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.results.summary import read_summary
from mednca_pipeline.runtime.images import read_labels
from mednca_pipeline.workspace import open_workspace

from .trainings import arguments, assert_same_bits, fold_folder, weights

pytestmark = pytest.mark.slow


def test_validation_keeps_raw_files_and_measures_them_raw_and_with_the_plans_components(uninterrupted):
    folder = fold_folder(uninterrupted)
    summary = read_summary(folder / "summary.json")
    labels = read_plans(folder.parent / "plans.json").labels
    references = open_workspace(uninterrupted).raw_folder("Dataset001_Phantom") / "labelsTr"
    raw = evaluate_folder(folder / "validation", references, labels, Units())
    assert summary.raw_mean == raw.mean
    for case, path in label_files(folder / "validation").items():
        reference = read_labels(label_files(references)[case])
        kept, _ = apply_postprocessing(read_labels(path).array[0], summary.components, labels)
        expected = evaluate_case(kept, reference.array[0], reference.spacing_mm, labels, Units())
        assert {name: pytest.approx(row, nan_ok=True) for name, row in expected.items()} == summary.cases[case].classes


def test_val_validates_again_and_changes_no_weight(uninterrupted, root, capsys):
    shutil.copytree(fold_folder(uninterrupted).parent, fold_folder(root).parent)
    summary = json.loads((fold_folder(root) / "summary.json").read_text(encoding="utf-8"))
    (fold_folder(root) / "summary.json").unlink()
    assert train_main(arguments(root, "--val")) == 0
    again = json.loads((fold_folder(root) / "summary.json").read_text(encoding="utf-8"))
    assert again["mean"] == summary["mean"]
    assert_same_bits(weights(uninterrupted), weights(root))


def test_validation_leaves_its_worst_cases_and_says_so(uninterrupted):
    folder = fold_folder(uninterrupted)
    summary = read_summary(folder / "summary.json")
    rows = list(csv.DictReader((folder / "cases.csv").open(encoding="utf-8")))
    assert len(rows) == 3 * len(summary.cases)  # two classes and both together
    known = [float(row["dice"]) for row in rows if row["dice"]]
    assert known == sorted(known)
    for row in rows:
        dice = summary.cases[row["case"]].classes[row["class"]]["dice"]
        assert row["dice"] == ("" if math.isnan(dice) else f"{dice:.4f}")
    assert {file.stem for file in (folder / "worst").iterdir()} == set(summary.cases)  # no more than five
    log = (folder / "training.log").read_text(encoding="utf-8")
    assert "cases, drawn in" in log or "The worst case, drawn in" in log
    assert re.search(r"Anterior|anterior: Dice [\d.]+, HD95 [\d.e+]+ mm, NSD", log)
    assert re.search(r"[\d.]+ (s|min): training [\d.]+ \w+, epoch ends [\d.]+ \w+; validation [\d.]+ \w+", log)
