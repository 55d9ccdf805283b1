import pytest
import torch

from mednca_pipeline.plans.model_plans import TrainingPlan
from mednca_pipeline.training.ema import update_average
from mednca_pipeline.training.state import new_state


def test_ema_follows_the_weights():
    state = new_state(torch.nn.Linear(1, 1, bias=False), TrainingPlan("adam", 0.1, 1, 0.9, {}), 1)
    with torch.no_grad():
        state.ema.weight.fill_(0.0)
        state.model.weight.fill_(1.0)
    state.iteration = 1000
    update_average(state.ema, state.model, 0.9, state.iteration)
    assert state.ema.weight.item() == pytest.approx(0.1)
