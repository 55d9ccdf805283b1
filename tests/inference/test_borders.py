"""Borders of the trained hippocampus models: what lies far outside does not change what is inside."""

import json
import shutil

import numpy as np
import pytest

from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.trained import trained_folds
from mednca_pipeline.planning.plans import read_plans, write_plans
from mednca_runtime.images import read_image, read_labels

MARGIN, CASES = 16, 6
NAME = "Dataset004_Hippocampus"


def dice_without_and_with_margin(predictor, shared_data, names, margin):
    """Mean Dice of the cases as they are, and with edges repeated by `margin`: (before, after) voxels per axis."""
    dice = []
    for name in names:
        image = read_image(shared_data / "Task04_Hippocampus" / "imagesTr" / f"{name}.nii.gz")
        truth = read_labels(shared_data / "Task04_Hippocampus" / "labelsTr" / f"{name}.nii.gz").array[0] > 0
        wide = np.pad(image.array, [(0, 0), *margin], mode="edge")
        inside = tuple(
            slice(before, side - after) for (before, after), side in zip(margin, wide.shape[1:], strict=True)
        )
        plain = predictor.predict(image.array, image.spacing_mm).labels > 0
        within = predictor.predict(wide, image.spacing_mm).labels[inside] > 0
        dice.append([2 * (found & truth).sum() / (found.sum() + truth.sum()) for found in (plain, within)])
    return np.mean(dice, axis=0)


def validation_cases(fold_folder):
    return sorted(json.loads((fold_folder / "summary.json").read_text(encoding="utf-8"))["cases"])[:CASES]


def test_a_margin_of_16_voxels_changes_dice_by_less_than_a_hundredth(shared_data, request):
    folder = request.config.rootpath / "results" / NAME / "recorded" / "mednca_2d"
    if not trained_folds(folder):
        pytest.skip(f"{folder} has no weights of a trained fold")
    fold = trained_folds(folder)[0]
    predictor = Predictor.from_folder(folder, folds=[fold], runs=2, postprocess=False)
    names = validation_cases(folder / f"fold_{fold}")
    before, after = dice_without_and_with_margin(predictor, shared_data, names, [(MARGIN, MARGIN)] * 3)
    assert before > 0.5
    assert abs(before - after) < 0.01


def test_other_framing_changes_dice_by_less_than_a_hundredth_though_the_position_is_seen(
    shared_data, request, tmp_path
):
    trained = request.config.rootpath / "results" / "recipe" / "finals" / f"{NAME}_mednca_2d_15min"
    plans = read_plans(request.config.rootpath / "plans" / NAME / "plans.json")
    run = json.loads((trained / "run.json").read_text(encoding="utf-8"))
    if run["digest"] != plans.digest("2d", "mednca"):
        pytest.skip(f"{trained} was trained with another plan than the present one")
    assert plans.configs["2d"].mednca.position
    folder = tmp_path / "mednca_2d"
    shutil.copytree(trained, folder / "fold_0")
    write_plans(folder / "plans.json", plans)
    predictor = Predictor.from_folder(folder, folds=[0], runs=2, postprocess=False)
    for margin in ([(10, 0), (0, 10), (10, 0)], [(0, 10), (10, 0), (0, 10)]):  # of some 36 x 50 x 35 voxels
        before, after = dice_without_and_with_margin(predictor, shared_data, validation_cases(trained), margin)
        assert before > 0.85
        assert abs(before - after) < 0.01
