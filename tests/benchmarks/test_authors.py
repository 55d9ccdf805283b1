"""The authors' step, which the benchmarks compare ours with, computes what their code computed and what ours does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.authors import AuthorsCell, AuthorsMedNCA, copy_weights, published, with_weights_of
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.nca import Cell, CellForm, run_steps
from mednca_pipeline.models.prediction import level_states
from mednca_pipeline.training.losses import dice_and_cross_entropy
from mednca_pipeline.training.step import weighted_loss


def make_cell(seed=0, n_image=1) -> Cell:
    torch.manual_seed(seed)
    cell = Cell(2, 6 + n_image, 10, n_image, CellForm("paper", "none", "reflect")).double()
    torch.nn.init.normal_(cell.update.weight, std=0.1)
    return cell


def make_network(fire_rate: float) -> MedNCA:
    torch.manual_seed(0)
    plan = replace(published(steps=3, patch=(8, 4)), channels=6, hidden=10, fire_rate=fire_rate)
    network = MedNCA(plan, 2, n_image_channels=1, n_outputs=1, sigmoid=True).double()
    for cell in network.cells:
        torch.nn.init.normal_(cell.update.weight, std=0.1)
    return network


def test_golden_vectors_of_the_authors_own_code(shared_reference):
    golden = {
        name: torch.from_numpy(array)
        for name, array in np.load(shared_reference / "mednca_hippocampus_golden.npz").items()
    }
    weights = np.load(shared_reference / "mednca_hippocampus_weights.npz")
    authors = AuthorsMedNCA(published(), n_image=1, n_outputs=1)
    authors.load_state_dict({f"stages.{name[5:]}": torch.from_numpy(array) for name, array in weights.items()})
    with torch.inference_mode():
        low = authors.stages[0](golden["low_input"], 16, golden["low_fired"])
        high = authors.stages[1](golden["high_input"], 16, golden["high_fired"])
        logits = authors.predict_logits(golden["image"][:, None], [golden["low_fired"], golden["high_fired"]])
    assert (low - golden["low_state"]).abs().max() < 1e-4
    assert (high - golden["high_state"]).abs().max() < 1e-4
    assert (logits[:, 0] - golden["logit"]).abs().max() < 1e-4


def test_the_published_network_has_its_70016_parameters():
    assert sum(weight.numel() for weight in AuthorsMedNCA(published(), 1, 1).parameters()) == 70_016


@pytest.mark.parametrize("n_image", [1, 2])
def test_the_same_weights_and_masks_give_the_states_of_our_plain_steps(n_image):
    cell = make_cell(n_image=n_image)
    authors = AuthorsCell(6 + n_image, 10, n_image, 0.5)
    copy_weights(cell, authors)
    state = torch.randn(2, 6 + n_image, 5, 8, dtype=torch.float64)  # the sides differ: a swapped axis would show
    fired = torch.rand(4, 2, 5, 8) < 0.5
    found = authors(state.movedim(1, -1), 4, fired).movedim(-1, 1)
    assert torch.allclose(found, run_steps(cell, state, fired[:, :, None], 4), rtol=1e-12, atol=1e-12)


def test_both_levels_give_our_logits():
    network = make_network(fire_rate=0.5)
    image = torch.rand(2, 1, 16, 24, dtype=torch.float64)
    fired = [torch.rand(3, 2, 4, 6) < 0.5, torch.rand(3, 2, 16, 24) < 0.5]
    found = with_weights_of(network).predict_logits(image, fired)
    *_, (state,) = level_states(network, image, None, [lambda level, steps, grid: fired[level][:, :, None]])
    expected = network.logits(state)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_training_pass_gives_our_loss_and_gradients_where_every_cell_fires():
    network = make_network(fire_rate=1.0)
    authors = with_weights_of(network)
    image, origin = torch.rand(2, 1, 16, 24, dtype=torch.float64), torch.tensor([[0, 8], [8, 20]])
    targets = (torch.rand(2, 1, 16, 24) < 0.3).double()
    passes = [model(image, origin, torch.Generator())[0] for model in (network, authors)]
    losses = [weighted_loss(outputs, targets, None, network.sigmoid, dice_and_cross_entropy) for outputs in passes]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)  # the loss is in float32
    for cell, stage in zip(network.cells, authors.stages, strict=True):
        expected = cell.banks[1].weight.grad.transpose(2, 3)
        assert expected.abs().max() > 0
        assert torch.allclose(stage.p1.weight.grad, expected, rtol=1e-4, atol=1e-7)


def test_masks_are_drawn_anew_in_every_step_at_the_published_rate():
    torch.manual_seed(0)
    authors = AuthorsCell(4, 8, 1, 0.5)
    state = torch.zeros(2, 32, 32, 4)
    first, second = authors.draw(state), authors.draw(state)
    assert first.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (first != second).float().mean().item() == pytest.approx(0.5, abs=0.05)
