"""The dense backend computes what the plain definition says, forward and backward."""

import pytest
import torch

from mednca_pipeline.models import steps
from mednca_pipeline.models.dense import fits, run_dense
from mednca_pipeline.models.nca import Cell, run_steps

SHAPES = [(9, 7), (1, 5), (8, 8), (5, 7, 6)]


def make(size, n_image=1, border="replicate", fire_rate=0.75, norm="layer", perception="matrix"):
    torch.manual_seed(sum(size) + n_image)
    cell = Cell(len(size), n_image + 6, 8, n_image, perception=perception, norm=norm, border=border).double()
    torch.nn.init.normal_(cell.update.weight, std=0.1)
    state = torch.randn(2, n_image + 6, *size, dtype=torch.float64)
    fired = None if fire_rate == 1 else torch.rand(3, 2, 1, *size) < fire_rate
    return cell, state, fired


def gradients(backend, cell, state, fired):
    """The free channels after three steps, and the gradients of them and of every weight."""
    state = state.clone().requires_grad_()
    cell.zero_grad()
    after = backend(cell, state, fired, 3)
    after[:, cell.fixed :].square().mean().backward()
    return after.detach(), [state.grad[:, cell.fixed :], *(weight.grad.clone() for weight in cell.parameters())]


@pytest.mark.parametrize("fire_rate", [0.25, 0.5, 1])
@pytest.mark.parametrize("border", ["replicate", "zeros"])
@pytest.mark.parametrize("n_image", [1, 2, 4])
@pytest.mark.parametrize("size", SHAPES)
def test_the_same_states_and_gradients(size, n_image, border, fire_rate):
    cell, state, fired = make(size, n_image, border, fire_rate)
    after, expected = gradients(run_steps, cell, state, fired)
    dense, found = gradients(run_dense, cell, state, fired)
    assert torch.allclose(dense, after, rtol=1e-12, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_reflected_borders(size):
    cell, state, fired = make(size, border="reflect")
    after, expected = gradients(run_steps, cell, state, fired)
    dense, found = gradients(run_dense, cell, state, fired)
    assert torch.allclose(dense, after) and all(map(torch.allclose, found, expected))


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_every_form_of_the_cell(size, perception, norm):
    cell, state, fired = make(size, 2, norm=norm, perception=perception)
    after, expected = gradients(run_steps, cell, state, fired)
    dense, found = gradients(run_dense, cell, state, fired)
    assert torch.allclose(dense, after, rtol=1e-12, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_without_gradients_nothing_is_kept():
    cell, state, fired = make((9, 7))
    with torch.inference_mode():
        after = run_dense(cell, state, fired, 3)
        assert torch.allclose(after, run_steps(cell, state, fired, 3))
    assert not after.requires_grad


def test_the_backend_is_chosen_by_the_cell(monkeypatch):
    used = []
    monkeypatch.setattr(steps.dense, "run_dense", lambda *_: used.append("dense"))
    monkeypatch.setattr(steps.nca, "run_steps", lambda *_: used.append("plain"))
    for norm in ("layer", "rms"):
        cell, state, fired = make((4, 4), norm=norm)
        assert fits(cell) == (norm == "layer")
        steps.run_steps(cell, state, fired, 3)
    assert used == ["dense", "plain"]
