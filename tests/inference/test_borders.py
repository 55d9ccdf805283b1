"""Borders of the trained hippocampus model: what lies far outside does not change what is inside."""

import json

import numpy as np
import pytest

from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.trained import trained_folds
from mednca_runtime.images import read_image, read_labels

MARGIN, CASES = 16, 6


def test_a_margin_of_16_voxels_changes_dice_by_less_than_a_hundredth(shared_data, request):
    folder = request.config.rootpath / "results" / "Dataset004_Hippocampus" / "recorded" / "mednca_2d"
    if not trained_folds(folder):
        pytest.skip(f"{folder} has no weights of a trained fold")
    fold = trained_folds(folder)[0]
    predictor = Predictor.from_folder(folder, folds=[fold], runs=2, postprocess=False)
    names = sorted(json.loads((folder / f"fold_{fold}" / "summary.json").read_text(encoding="utf-8"))["cases"])[:CASES]
    dice = []
    for name in names:
        image = read_image(shared_data / "Task04_Hippocampus" / "imagesTr" / f"{name}.nii.gz")
        truth = read_labels(shared_data / "Task04_Hippocampus" / "labelsTr" / f"{name}.nii.gz").array[0] > 0
        wide = np.pad(image.array, [(0, 0), *[(MARGIN, MARGIN)] * 3], mode="edge")
        inside = (slice(MARGIN, -MARGIN),) * 3
        plain = predictor.predict(image.array, image.spacing_mm).labels > 0
        margin = predictor.predict(wide, image.spacing_mm).labels[inside] > 0
        dice.append([2 * (found & truth).sum() / (found.sum() + truth.sum()) for found in (plain, margin)])
    before, after = np.mean(dice, axis=0)
    assert before > 0.5
    assert abs(before - after) < 0.01
