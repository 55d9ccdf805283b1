"""Muon, the guard, the schedule, the state."""

import math

import numpy as np
import pytest
import torch

from mednca_pipeline.models.protocol import Output
from mednca_pipeline.plans.model_plans import TrainingPlan
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.training.batches import Batch
from mednca_pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from mednca_pipeline.training.ema import update_average
from mednca_pipeline.training.guard import MAX_MAGNITUDE, STRIKES, WARMUP, Guard
from mednca_pipeline.training.loop import go_back
from mednca_pipeline.training.muon import Muon, build_optimisers, orthogonalise
from mednca_pipeline.training.schedule import cosine, epoch_length, iterations_for, parse_budget, until_seen
from mednca_pipeline.training.state import new_state
from mednca_pipeline.training.step import train_step


def test_orthogonalise_brings_singular_values_near_one():
    for shape in ((8, 30), (30, 8)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        values = torch.linalg.svdvals(orthogonalise(matrix))
        assert values.min() > 0.5 and values.max() < 1.3


def test_muon_steps_by_the_orthogonal_factor_of_the_gradient():
    weight = torch.nn.Parameter(torch.zeros(4, 2, 1, 1))
    weight.grad = torch.zeros(4, 2, 1, 1)
    weight.grad[0, 0], weight.grad[1, 1] = 3.0, 3.0
    Muon([weight], lr=0.1).step()
    moved = weight.detach().flatten(1)
    # Equal singular values stay equal; the update is scaled by sqrt(4 / 2); what had no gradient does not move.
    assert moved[0, 0].item() == pytest.approx(moved[1, 1].item())
    assert -0.1 * math.sqrt(2) * 1.3 < moved[0, 0].item() < -0.1 * math.sqrt(2) * 0.6
    assert moved[2:].abs().max() == 0


def test_muon_takes_matrices_and_adam_the_rest():
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.LayerNorm(3))
    muon, adam = build_optimisers(model, TrainingPlan("muon", 0.02, 2, 0.99, {}))
    assert [parameter.ndim for parameter in muon.param_groups[0]["params"]] == [4]
    assert len(adam.param_groups[0]["params"]) == 3 and adam.param_groups[0]["lr"] == pytest.approx(0.002)


@pytest.mark.parametrize("optimiser", ["muon", "adam"])
def test_weight_decay_shrinks_a_matrix_by_rate_times_decay_before_the_update(optimiser):
    ends = []
    for decay in (0.0, 0.5):
        weight = torch.nn.Parameter(torch.full((3, 2), 2.0))
        model = torch.nn.Module()
        model.register_parameter("weight", weight)
        weight.grad = torch.eye(3, 2)
        for chosen in build_optimisers(model, TrainingPlan(optimiser, 0.1, 2, 0.99, {}, weight_decay=decay)):
            chosen.step()
        ends.append(weight.detach())
    assert torch.allclose(ends[0] - ends[1], torch.full((3, 2), 2.0 * 0.1 * 0.5))


@pytest.mark.parametrize("loss, magnitude", [(math.nan, 1.0), (math.inf, 1.0), (0.5, 2 * MAX_MAGNITUDE)])
def test_guard_sees_an_overflow_at_once(loss, magnitude):
    assert Guard().problem(0.9, 1.0) is None
    assert Guard().problem(loss, magnitude)


def test_guard_forgives_a_hard_batch_but_not_a_row_of_them():
    guard = Guard()
    for _ in range(WARMUP):
        assert guard.problem(0.5, 1.0) is None
    assert guard.problem(2.0, 1.0) is None and guard.problem(0.5, 1.0) is None and guard.strikes == 0
    assert [guard.problem(2.0, 1.0) for _ in range(STRIKES - 1)] == [None] * (STRIKES - 1)
    assert "2.000 from about 0.500" in guard.problem(2.0, 1.0)


def test_guard_lowers_the_rate_with_every_restore():
    early, late = Guard(0.3, 60), Guard(0.9, 90, restores=2, rate_scale=0.25)
    after = early.after_restore(late)
    assert (after.mean_loss, after.seen, after.restores, after.rate_scale) == (0.3, 60, 3, 0.125)


class Root(torch.nn.Linear):
    """Its loss is the root of 0: 0, with an infinite slope, and its gradient 0 * infinity."""

    sigmoid = True

    def forward(self, image, origin, generator):
        return [Output((self.weight * 0).sum().sqrt(), lambda known: known)], 0.0


def test_a_gradient_that_is_not_finite_moves_no_weight():
    plan = TrainingPlan("adam", 0.1, 1, 0.9, {})
    state = new_state(Root(2, 1), plan, 10)
    before = [parameter.clone() for parameter in state.model.parameters()]
    batch = Batch(np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 2, 2), np.int16), np.zeros((1, 2), np.int64))
    labels = Labels(("organ",), ((1,),))
    loss, _ = train_step(state, batch, plan, labels, torch.Generator(), lambda logits, *_, **__: logits)
    assert math.isnan(loss)
    assert all(torch.equal(old, new) for old, new in zip(before, state.model.parameters(), strict=True))


def test_schedule_by_hand():
    assert parse_budget("90s") == 90 and parse_budget("20min") == 1200 and parse_budget("1.5h") == 5400
    assert cosine(0, 100) == 1 and cosine(50, 100) == pytest.approx(0.5) and cosine(100, 100) == pytest.approx(0)
    assert epoch_length(1000) == 10 and epoch_length(7) == 1
    assert epoch_length(260) == 10 and epoch_length(100) == 5  # their ends cost as much as some iterations
    assert iterations_for(600, 0.1, 1.0) == 5010  # 99 epochs of 51, each ends in a second
    assert iterations_for(60, 1.0, 1.0) == 40  # twenty epochs of two
    assert iterations_for(1.0, 1.0, 1.0) == 20
    with pytest.raises(InputError, match="20min"):
        parse_budget("20 parsecs")


def test_a_schedule_ends_where_each_image_was_seen_often_enough():
    assert until_seen(10_000, 300, images=80, batch_size=8) == 3000
    assert until_seen(2000, 300, images=80, batch_size=8) == 2000
    assert until_seen(10_000, 0, images=1, batch_size=8) == 10_000
    assert until_seen(10, 1, images=1, batch_size=8) == 1


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


def test_ema_follows_the_weights():
    state = new_state(torch.nn.Linear(1, 1, bias=False), TrainingPlan("adam", 0.1, 1, 0.9, {}), 1)
    with torch.no_grad():
        state.ema.weight.fill_(0.0)
        state.model.weight.fill_(1.0)
    state.iteration = 1000
    update_average(state.ema, state.model, 0.9, state.iteration)
    assert state.ema.weight.item() == pytest.approx(0.1)
