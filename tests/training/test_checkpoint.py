import pytest
import torch

from mednca_pipeline.plans.model_plans import TrainingPlan
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from mednca_pipeline.training.ema import update_average
from mednca_pipeline.training.loop import go_back
from mednca_pipeline.training.state import new_state


def test_checkpoint_round_trip_and_refusal(tmp_path):
    plan = TrainingPlan("muon", 0.02, 2, 0.99, {"cpu": 1.0})
    model = torch.nn.Linear(3, 2)
    state = new_state(model, plan, 10)
    model.weight.grad, model.bias.grad = torch.ones(2, 3), torch.ones(2)
    for optimiser in state.optimisers:
        optimiser.step()
    state.iteration = 4
    update_average(state.ema, state.model, 0.99, state.iteration)
    save_checkpoint(tmp_path / "checkpoint.pt", state, "identity")
    again = new_state(torch.nn.Linear(3, 2), plan, 10)
    load_checkpoint(tmp_path / "checkpoint.pt", again, "identity")
    assert again.iteration == 4 and torch.equal(again.ema.weight, state.ema.weight)
    assert torch.equal(again.model.weight, model.weight)
    with pytest.raises(InputError) as caught:
        load_checkpoint(tmp_path / "checkpoint.pt", again, "another")
    assert "other plans" in caught.value.found
    with pytest.raises(InputError) as caught:
        load_checkpoint(tmp_path / "nowhere.pt", again, "identity")
    assert (caught.value.where, caught.value.found) == (str(tmp_path / "nowhere.pt"), "no such file")


def test_a_checkpoint_in_mid_epoch_keeps_the_last_good_state_to_go_back_to(tmp_path):
    plan = TrainingPlan("adam", 0.02, 2, 0.99, {"cpu": 1.0})
    state = new_state(torch.nn.Linear(3, 2), plan, 10)
    good = state.model.weight.detach().clone()
    state.mark_good()
    with torch.no_grad():
        state.model.weight += 1
    state.iteration = 3
    save_checkpoint(tmp_path / "checkpoint.pt", state, "identity")
    again = new_state(torch.nn.Linear(3, 2), plan, 10)
    load_checkpoint(tmp_path / "checkpoint.pt", again, "identity")
    assert again.iteration == 3 and torch.equal(again.model.weight, good + 1)
    go_back(again, "a reason")
    assert again.iteration == 0 and torch.equal(again.model.weight, good) and again.guard.restores == 1
