"""The mean of several models as a model of its own in a cross-validation."""

import shutil

import numpy as np
import pandas as pd
import pytest

from mednca_pipeline.crossval.run import crossvalidate
from mednca_pipeline.evaluation.metrics import dice
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json
from mednca_pipeline.runtime.images import read_image, read_labels

from .fabricated import BOTH, DATASET, fold_folder, make_workspace, model_folder, options, plant_weights

ENSEMBLE, ENSEMBLE_FOLDER = "mednca_2d + unet_small_2d", "mednca_2d+unet_small_2d"


def rows_of(workspace, name="comparison.csv"):
    return pd.read_csv(workspace.results_folder(DATASET) / name)


@pytest.fixture
def workspace(tmp_path):
    return make_workspace(tmp_path)


def test_the_mean_of_the_models_is_a_row_of_the_comparison(workspace):
    crossvalidate(workspace, options(workspace, models=BOTH, folds=(0, 1)))
    before = rows_of(workspace)
    plant_weights(workspace, folds=(0, 1))
    result = crossvalidate(workspace, options(workspace, models=BOTH, folds=(0, 1), ensemble=True))
    assert result.failed == {} and result.trained == []
    scores = []
    for fold in (0, 1):
        image = read_image([workspace.raw_folder(DATASET) / "imagesTr" / f"case{fold}_0000.nii.gz"])
        folders = [model_folder(workspace, model).path for model in ("mednca", "unet_small")]
        members = [Predictor.from_folder(folder, [fold], PredictionOptions(postprocess=False)) for folder in folders]
        maps = [member.predict(image.array, image.spacing_mm).probabilities for member in members]
        folder = workspace.results_folder(DATASET) / ENSEMBLE_FOLDER / f"fold_{fold}"
        found = read_labels(folder / "validation" / f"case{fold}.nii.gz").array[0]
        np.testing.assert_array_equal(found, np.mean(maps, axis=0).argmax(axis=0))
        truth = read_labels(workspace.raw_folder(DATASET) / "labelsTr" / f"case{fold}.nii.gz").array[0]
        scores.append(dice(found == 1, truth == 1))
    assert max(scores) > 0
    after = rows_of(workspace)
    row = after[(after["model"] == ENSEMBLE) & (after["class"] == "organ")].iloc[0]
    assert row["dice_mean"] == pytest.approx(np.mean(scores))
    assert (row["folds"], row["missing_folds"]) == ("0 1", 2)
    assert (row["parameters"], row["file_bytes"], row["training_minutes"]) == (20, 80, 2.0)
    assert row["seconds_per_case"] > 0
    pd.testing.assert_frame_equal(after[after["model"] != ENSEMBLE].reset_index(drop=True), before)
    pairs = rows_of(workspace, "comparison_pairs.csv")
    assert set(zip(pairs["first"], pairs["second"], strict=True)) == {
        ("mednca_2d", "unet_small_2d"),
        ("mednca_2d", ENSEMBLE),
        ("unet_small_2d", ENSEMBLE),
    }
    origin = (workspace.results_folder(DATASET) / "comparison.md").read_text(encoding="utf-8")
    assert f"- {ENSEMBLE}: the mean of the models' probabilities" in origin


def test_an_ensemble_is_kept_until_one_of_its_models_was_trained_again(workspace):
    crossvalidate(workspace, options(workspace, models=BOTH))
    plant_weights(workspace)
    crossvalidate(workspace, options(workspace, models=BOTH, ensemble=True))
    summaries = [
        workspace.results_folder(DATASET) / ENSEMBLE_FOLDER / f"fold_{fold}" / "summary.json" for fold in range(3)
    ]
    made = [file.stat().st_mtime_ns for file in summaries]
    crossvalidate(workspace, options(workspace, models=BOTH[::-1], ensemble=True))
    assert [file.stat().st_mtime_ns for file in summaries] == made
    run_file = fold_folder(workspace, 1, "unet_small") / "run.json"
    run_file.touch()
    assert crossvalidate(workspace, options(workspace, models=BOTH)).models[-1].missing == ()
    write_json(run_file, {**read_json(run_file), "training_minutes": 3.0})
    stale = crossvalidate(workspace, options(workspace, models=BOTH)).models[-1]
    assert stale.name == ENSEMBLE and stale.missing == (1,)
    assert f"fold 1 of {ENSEMBLE} is left out" in stale.notes[0]
    renewed = crossvalidate(workspace, options(workspace, models=BOTH, ensemble=True)).models[-1]
    assert renewed.missing == () and renewed.notes == ()
    assert [file.stat().st_mtime_ns == before for file, before in zip(summaries, made, strict=True)] == [1, 0, 1]


def test_what_an_average_mixes_is_noted(workspace):
    crossvalidate(workspace, options(workspace, models=BOTH))
    plant_weights(workspace)
    for model, fold, done in (("mednca", 1, 400), ("unet_small", 0, 100), ("unet_small", 1, 100)):
        run = fold_folder(workspace, fold, model) / "run.json"
        write_json(run, {**read_json(run), "iterations": done})
    for model in BOTH:
        for fold in range(3):
            run = fold_folder(workspace, fold, model) / "run.json"
            write_json(run, {**read_json(run), "planned_iterations": 400})
    notes = crossvalidate(workspace, options(workspace, models=BOTH, ensemble=True)).models[-1].notes
    assert f"{ENSEMBLE} averages folds of mednca_2d that were trained for 321 and 400 iterations" in notes
    assert (
        f"{ENSEMBLE} averages models of different training: mednca_2d got 80 % and unet_small_2d got 25 % of its "
        "planned schedule"
    ) in notes


def test_an_ensemble_needs_a_fold_that_all_models_have_finished(workspace):
    with pytest.raises(InputError, match="--ensemble: expected several models, found mednca"):
        options(workspace, ensemble=True)
    crossvalidate(workspace, options(workspace, models=("mednca",), folds=(0,)))
    result = crossvalidate(workspace, options(workspace, models=BOTH, folds=(1,), ensemble=True))
    assert result.files  # fold 1 of both has no weights, which spoils no table of the models
    assert list(result.failed) == [ENSEMBLE] and not result.ours
    shutil.rmtree(model_folder(workspace, "unet_small").path)
    (workspace.root / "broken").touch()
    result = crossvalidate(workspace, options(workspace, models=BOTH, folds=(1,), ensemble=True))
    assert "expected a fold that mednca_2d and unet_small_2d have finished" in result.failed[ENSEMBLE]
