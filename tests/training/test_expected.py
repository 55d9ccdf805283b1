"""How long the folds will take: measured, not planned."""

import math

import pytest

from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.training import expected as module
from mednca_pipeline.training.expected import expected
from mednca_pipeline.training.timing import Timing
from mednca_pipeline.workspace import open_workspace


def test_a_fold_takes_its_iterations_its_epoch_ends_and_its_validation(phantom_workspace, monkeypatch):
    """The phantoms are few: 300 views of each slice end the schedule, in epochs of a hundredth of the training."""
    monkeypatch.setattr(module, "measure", lambda *_: Timing(0.01, 20, 0.5, 2.0, 3.0))
    workspace = open_workspace(phantom_workspace)
    found = expected(workspace, "Dataset001_Phantom", "mednca", "2d")
    epochs = math.ceil(found.iterations / math.ceil(found.iterations / 100))
    assert found.training_s == pytest.approx(found.iterations * 0.01 + epochs * 0.5)
    assert (
        found.training_s
        <= read_plans(workspace.plans_file("Dataset001_Phantom")).config("2d").model("mednca").training.minutes["cpu"]
        * 60
    )
    monkeypatch.setattr(module, "measure", lambda *_: Timing(1.0, 20, 0.5, 2.0, 3.0))
    slower = expected(workspace, "Dataset001_Phantom", "mednca", "2d")
    assert slower.iterations < found.iterations and slower.validation_s == found.validation_s > 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mednca", "unet_small"])
def test_it_is_measured_on_this_machine_in_seconds_and_leaves_nothing(phantom_workspace, model):
    workspace = open_workspace(phantom_workspace)
    before = set(phantom_workspace.rglob("*"))
    found = expected(workspace, "Dataset001_Phantom", model, "2d")
    assert found.training_s > 0 and found.validation_s > 0 and found.device == "cpu"
    assert set(phantom_workspace.rglob("*")) == before
