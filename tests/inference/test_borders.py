"""Borders of the trained hippocampus models: what lies far outside does not change what is inside."""

import json
import shutil

import numpy as np
import pytest

from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.runtime.images import read_image, read_labels

CASES = 6
NAME = "Dataset004_Hippocampus"


def dice_without_and_with_margin(predictor, names, shared_data, margin):
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


@pytest.fixture(scope="module")
def trained(request, tmp_path_factory):
    """The predictor of the present plan's hippocampus network, and cases it was not trained on."""
    plans = read_plans(request.config.rootpath / "plans" / "reference" / NAME / "plans.json")
    digest = plans.digest("2d", "mednca")
    finals = request.config.rootpath / "results" / "recipe" / "finals"
    (kept,) = finals.glob(f"{NAME}_mednca_2d_*_{digest[:8]}")
    folder = tmp_path_factory.mktemp("trained") / "mednca_2d"
    shutil.copytree(kept, folder / "fold_0")
    write_plans(folder / "plans.json", plans)
    cases = sorted(json.loads((kept / "summary.json").read_text(encoding="utf-8"))["cases"])[:CASES]
    return Predictor.from_folder(folder, [0], PredictionOptions(quality=False, postprocess=False)), cases


@pytest.mark.parametrize(
    "margin",  # of some 36 x 50 x 35 voxels; on one side it moves the position that the network sees
    [[(16, 16)] * 3, [(10, 0), (0, 10), (10, 0)], [(0, 10), (10, 0), (0, 10)]],
)
def test_a_margin_changes_dice_by_less_than_a_hundredth(margin, trained, shared_data):
    before, after = dice_without_and_with_margin(*trained, shared_data, margin)
    assert before > 0.85
    assert abs(before - after) < 0.01
