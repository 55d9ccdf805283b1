"""The sparse backend computes what the plain definition says, forward and backward."""

from functools import partial

import pytest
import torch

from mednca_pipeline.models import sparse
from mednca_pipeline.models.nca import run_steps
from mednca_pipeline.models.sparse import run_sparse

from .cells import CASES, assert_as_defined, make


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


@pytest.mark.parametrize(("size", "n_image", "border", "fire_rate"), [case for case in CASES if case[-1] < 1])
def test_random_cases_whose_states_are_computed_again(size, n_image, border, fire_rate):
    assert_as_defined(partial(run_sparse, keep_every=2), *make(size, n_image, border, fire_rate))


@pytest.mark.parametrize("keep_every", [1, 2, 3, 5])
@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("border", ["replicate", "reflect", "zeros"])
@pytest.mark.parametrize("size", [(9, 7), (4, 5, 3)])
def test_states_that_are_computed_again(size, border, norm, keep_every):
    assert_as_defined(partial(run_sparse, keep_every=keep_every), *make(size, 2, border, 0.5, norm, "paper"))
