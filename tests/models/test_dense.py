"""The dense backend computes what the plain definition says, forward and backward."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from mednca_pipeline.models import dense, steps
from mednca_pipeline.models.dense import run_dense
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.nca import run_steps
from mednca_pipeline.models.sparse import run_sparse

from .cells import BORDERS, CASES, PLAN, assert_as_defined, gradients, make


@pytest.mark.parametrize(("size", "n_image", "border", "fire_rate"), CASES)
def test_the_same_states_and_gradients(size, n_image, border, fire_rate):
    assert_as_defined(run_dense, *make(size, n_image, border, fire_rate))


@pytest.mark.parametrize("border", ["replicate", "zeros"])
@pytest.mark.parametrize("size", [(1, 5), (1, 1, 4)])
def test_a_grid_of_one_cell_along_an_axis(size, border):
    assert_as_defined(run_dense, *make(size, border=border))


@pytest.mark.parametrize("dim", [2, 3])
def test_the_sizes_of_the_cases_are_odd_and_even_along_every_axis(dim):
    sizes = {size for size, *_ in CASES if len(size) == dim}
    assert len(sizes) > 20
    assert all({side % 2 for side in axis} == {0, 1} for axis in zip(*sizes, strict=True))


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_every_form_of_the_cell(size, perception, norm):
    assert_as_defined(run_dense, *make(size, 2, norm=norm, perception=perception))


@pytest.mark.parametrize("backend", [run_dense, run_sparse])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
def test_a_channel_that_is_added_for_the_kernels_changes_nothing(perception, backend):
    cell, state, fired = make((9, 7), 2, perception=perception, free=7)
    assert dense.prepared(cell, state, 1.0)[0].shape[1] == 2 + 8
    assert_as_defined(backend, cell, state, fired)


@pytest.mark.parametrize("backend", [run_dense, run_sparse, steps.run_steps])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("fire_rate", [0.5, 0.75])
def test_cells_that_apply_a_share_of_their_update(fire_rate, perception, backend):
    assert_as_defined(backend, *make((9, 7), 2, fire_rate=fire_rate, perception=perception), share=0.75)


@pytest.mark.parametrize("keep_every", [1, 2, 3, 5])
@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("size", "n_image", "fire_rate"), [((9, 7), 1, 0.75), ((4, 5, 3), 4, 0.75), ((4, 5, 3), 4, 1)])
def test_states_that_are_computed_again(size, n_image, border, fire_rate, norm, keep_every):
    assert_as_defined(partial(run_dense, keep_every=keep_every), *make(size, n_image, border, fire_rate, norm))


def test_the_plan_says_what_is_kept(monkeypatch):
    seen = []
    monkeypatch.setattr(
        steps.dense, "run_dense", lambda cell, state, fired, n, keep_every, *_: (seen.append(keep_every), state)[1]
    )
    plan = replace(PLAN, keep_every=2)
    network = MedNCA(plan, 2, 1, 2, sigmoid=False)
    network(torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, dtype=torch.int64), torch.Generator())
    assert seen == [2, 2]


@pytest.mark.parametrize("keep_every", [0, 2])
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_products_of_a_smaller_type_than_the_state(norm, keep_every, monkeypatch):
    """Half of the state's, as bfloat16 is of float32 on a GPU: few CPUs can convolve in it."""
    cell, state, fired = make((9, 7), norm=norm)
    after, expected = gradients(run_steps, cell, state, fired)
    monkeypatch.setattr(dense, "autocast_dtype", lambda state: torch.float32)
    coarse, found = gradients(partial(run_dense, keep_every=keep_every), cell, state, fired)
    assert coarse.dtype == torch.float64 and all(one.dtype == torch.float64 for one in found)
    assert 0 < (coarse - after).norm() < 1e-5 * after.norm()
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() < 1e-5 * other.norm()


def test_without_gradients_nothing_is_kept():
    cell, state, fired = make((9, 7))
    with torch.inference_mode():
        after = run_dense(cell, state, fired, 3)
        assert torch.allclose(after, run_steps(cell, state, fired, 3))
    assert not after.requires_grad
