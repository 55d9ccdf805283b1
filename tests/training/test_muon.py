import math

import pytest
import torch

from mednca_pipeline.plans.model_plans import TrainingPlan
from mednca_pipeline.training.muon import Muon, build_optimisers, orthogonalise


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
