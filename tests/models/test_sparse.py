"""The sparse backend computes what the plain definition says, and is chosen where few cells fire."""

from functools import partial

import pytest
import torch

from mednca_pipeline.models import sparse, steps
from mednca_pipeline.models.firing import computed_share
from mednca_pipeline.models.nca import run_steps
from mednca_pipeline.models.sparse import run_sparse
from tests.models.test_dense import CASES, assert_as_defined, make


@pytest.mark.parametrize(("size", "n_image", "border", "fire_rate"), CASES)
def test_the_same_states_and_gradients(size, n_image, border, fire_rate):
    cell, state, fired = make(size, n_image, border, fire_rate)
    fired = torch.ones(3, 2, 1, *size, dtype=torch.bool) if fired is None else fired
    assert_as_defined(run_sparse, cell, state, fired)
    with torch.inference_mode():
        expected = run_steps(cell, state, fired, 3)
        assert torch.allclose(run_sparse(cell, state, fired, 3), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["none", "layer", "rms"])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_every_form_of_the_cell(size, perception, norm, monkeypatch):
    monkeypatch.setattr(sparse, "ROWS", 5)  # several pieces
    cell, state, fired = make(size, 2, border="reflect", norm=norm, perception=perception)
    with torch.inference_mode():
        expected = run_steps(cell, state, fired, 3)
        assert torch.allclose(run_sparse(cell, state, fired, 3), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("border", ["replicate", "reflect", "zeros"])
@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_the_same_gradients(size, border, perception, norm):
    assert_as_defined(run_sparse, *make(size, 2, border, 0.5, norm, perception))


@pytest.mark.parametrize("size", [(1, 5), (1, 1, 4)])
def test_gradients_where_a_cell_is_its_own_neighbour(size):
    assert_as_defined(run_sparse, *make(size))


def test_a_step_in_which_no_cell_fires():
    cell, state, fired = make((6, 5))
    fired[1] = False
    assert_as_defined(run_sparse, cell, state, fired)


@pytest.mark.parametrize("keep_every", [0, 2])
def test_a_second_backward_pass_is_refused(keep_every):
    cell, state, fired = make((9, 7))
    loss = run_sparse(cell, state.requires_grad_(), fired, 3, keep_every).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward through a level's steps a second time"):
        loss.backward()


@pytest.mark.parametrize(("size", "n_image", "border", "fire_rate"), [case for case in CASES if case[-1] < 1])
def test_random_cases_whose_states_are_computed_again(size, n_image, border, fire_rate):
    assert_as_defined(partial(run_sparse, keep_every=2), *make(size, n_image, border, fire_rate))


@pytest.mark.parametrize("keep_every", [1, 2, 3, 5])
@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("border", ["replicate", "reflect", "zeros"])
@pytest.mark.parametrize("size", [(9, 7), (4, 5, 3)])
def test_states_that_are_computed_again(size, border, norm, keep_every):
    assert_as_defined(partial(run_sparse, keep_every=keep_every), *make(size, 2, border, 0.5, norm, "paper"))


def test_it_pays_where_few_cells_fire():
    few, many = (torch.rand(3, 2, 1, 40, 40) < rate for rate in (0.5, 0.75))
    assert steps.pays_sparse(few, "cpu")
    assert not steps.pays_sparse(many, "cpu")
    assert not steps.pays_sparse(None, "cpu")
    assert not steps.pays_sparse(few, "cuda")


@pytest.mark.parametrize(
    ("given", "share"),
    [((0.5, "cpu"), 0.5), ((0.6, "cpu"), 0.6), ((0.75, "cpu"), 1), ((0.5, "cuda"), 1)],
)
def test_only_the_cells_that_fire_are_computed_where_it_runs(given, share):
    assert computed_share(*given) == share


def test_the_backend_is_chosen_by_gradients_and_fire_rate(monkeypatch):
    used = []
    for module, name in ((steps.dense, "run_dense"), (steps.sparse, "run_sparse")):
        monkeypatch.setattr(module, name, lambda *_, name=name: used.append(name))
    cell, state, few = make((40, 40), fire_rate=0.5)
    steps.run_steps(cell, state, few, 3)
    steps.run_steps(cell, state, torch.ones_like(few), 3)
    steps.run_steps(cell, state, few, 3, keep_every=2)
    with torch.inference_mode():
        steps.run_steps(cell, state, few, 3, keep_every=2)
        steps.run_steps(make((40, 40), fire_rate=0.5, norm="rms")[0], state, few, 3)
    assert used == ["run_sparse", "run_dense", "run_sparse", "run_sparse", "run_sparse"]
