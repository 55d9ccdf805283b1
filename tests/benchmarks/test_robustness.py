from dataclasses import dataclass, field

import numpy as np
import pytest

from benchmarks.recipe import robustness
from benchmarks.recipe.robustness import Robustness, class_dice, measure, spread, table
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.runtime.labels import Labels

FOUND = Robustness(2, 0.9, {"noise": {1: 0.9, 3: 0.8, 5: 0.7}, "zoom": {1: 0.6, 3: 0.6, 5: 0.6}})


def test_robust_is_the_mean_over_artefacts_and_severities():
    assert FOUND.robust == pytest.approx(0.7)
    assert "| noise | 0.9000 | 0.8000 | 0.7000 |" in table(FOUND)


def test_dice_is_the_mean_of_classes_without_ignored_voxels():
    labels = Labels(("a", "b"), ((1,), (2,)), ignore=3)
    reference = np.array([[1, 1, 2, 2, 3]])
    predicted = np.array([[1, 0, 2, 2, 1]])
    assert class_dice(predicted, reference, labels) == pytest.approx((2 / 3 + 1) / 2)


def test_cases_are_spread_over_the_list():
    names = [f"case {index}" for index in range(10)]
    assert spread(names, 3) == ["case 0", "case 4", "case 9"]
    assert spread(names, 99) == names


@dataclass
class _Threshold:
    """Takes what is above half of the brightest voxel for foreground, and counts what it is asked."""

    plans: object
    spacings: list = field(default_factory=list)

    def predict(self, array, spacing_mm):
        self.spacings.append(tuple(spacing_mm))
        return _Labels((array[0] > array.max() / 2).astype(np.int16))


@dataclass
class _Labels:
    labels: np.ndarray


@dataclass
class _Plans:
    labels: Labels
    channel_names: tuple[str, ...]


def test_every_case_is_predicted_clean_and_under_each_artefact(tmp_path):
    write_phantom_dataset(tmp_path / "Dataset001_Two", n_train=2, n_test=0, seed=0, size=(4, 26, 24))
    dataset = load_dataset(tmp_path / "Dataset001_Two")
    predictor = _Threshold(_Plans(dataset.labels, ("CT",)))
    found = measure(predictor, dataset.training)
    assert list(found.artefacts) == ["noise", "blur", "low_resolution", "zoom"]
    assert len(predictor.spacings) == 2 * (1 + 4 * 3)
    assert len(set(predictor.spacings)) > 2  # zoomed
    assert set(found.artefacts["zoom"].values()) == {found.clean}  # this predictor does not look at the spacing
    assert measure(predictor, dataset.training) == found


def test_recorded_weights_are_loaded_with_their_plan(tmp_path):
    fold = robustness.ROOT / "results" / "Dataset004_Hippocampus" / "recorded" / "mednca_2d" / "fold_0"
    assert isinstance(robustness.load(fold, tmp_path), Predictor)
