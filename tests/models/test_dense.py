"""The dense backend computes what the plain definition says, forward and backward."""

import random
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch

from mednca_pipeline.models import dense, steps
from mednca_pipeline.models.dense import fits, run_dense
from mednca_pipeline.models.gradient_checkpointing import CheckpointedSteps
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.nca import Cell, CellForm, run_steps
from mednca_pipeline.models.sparse import run_sparse
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan

LEVELS = (LevelPlan((2, 2), 2), LevelPlan((1, 1), 2))
PLAN = NCAPlan(8, 8, 0.75, "layer", "replicate", "matrix", LEVELS, TrainingPlan("adam", 1e-3, 1, 0.9, {"cpu": 1.0}))
BORDERS = ("replicate", "reflect", "zeros")
RANDOM, LONGEST = random.Random(0), {2: 10, 3: 6}
CASES = [  # size, image channels, border, fire rate
    (tuple(RANDOM.randint(2, LONGEST[dim]) for _ in range(dim)), *form)
    for dim in LONGEST
    for form in product((1, 2, 3, 4), BORDERS, (0.25, 0.5, 0.75, 1))
]


def make(size, n_image=1, border="replicate", fire_rate=0.75, norm="layer", perception="matrix", free=6):
    torch.manual_seed(sum(size) + n_image)
    cell = Cell(len(size), n_image + free, 8, n_image, CellForm(perception, norm, border)).double()
    torch.nn.init.normal_(cell.update.weight, std=0.1)
    state = torch.randn(2, n_image + free, *size, dtype=torch.float64)
    fired = None if fire_rate == 1 else torch.rand(3, 2, 1, *size) < fire_rate
    return cell, state, fired


def gradients(backend, cell, state, fired, **options):
    """The free channels after three steps, and the gradients of them and of every weight."""
    state = state.clone().requires_grad_()
    cell.zero_grad()
    after = backend(cell, state, fired, 3, **options)
    after[:, cell.fixed :].square().mean().backward()
    return after.detach(), [state.grad[:, cell.fixed :], *(weight.grad.clone() for weight in cell.parameters())]


def assert_as_defined(backend, cell, state, fired, **options):
    """Asserts that `backend` gives the states and gradients of the plain definition."""
    after, expected = gradients(run_steps, cell, state, fired, **options)
    given, found = gradients(backend, cell, state, fired, **options)
    assert given.shape == after.shape and torch.allclose(given, after, rtol=1e-12, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("size", "n_image", "border", "fire_rate"), CASES)
def test_the_same_states_and_gradients(size, n_image, border, fire_rate):
    assert_as_defined(run_dense, *make(size, n_image, border, fire_rate))


@pytest.mark.parametrize("border", ["replicate", "zeros"])
@pytest.mark.parametrize("size", [(1, 5), (1, 1, 4)])
def test_a_grid_of_one_cell_along_an_axis(size, border):
    assert_as_defined(run_dense, *make(size, border=border))


@pytest.mark.parametrize("dim", LONGEST)
def test_the_sizes_above_are_odd_and_even_along_every_axis(dim):
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


@pytest.mark.parametrize("backend", [run_dense, run_sparse])
def test_computing_states_again_keeps_less(backend, monkeypatch):
    """Counts what the forward pass leaves behind."""
    cell, state, fired = make((9, 7))
    contexts, forward = [], CheckpointedSteps.forward
    record = lambda ctx, *given: (contexts.append(ctx), forward(ctx, *given))[1]  # noqa: E731
    monkeypatch.setattr(CheckpointedSteps, "forward", record)
    for keep_every, states, perceived in ((0, 0, 3), (1, 3, 0), (2, 2, 0), (3, 1, 0)):
        backend(cell, state.requires_grad_(), fired, 3, keep_every)
        assert (len(contexts[-1].states), len(contexts[-1].perceived)) == (states, perceived)


def test_the_plan_says_what_is_kept(monkeypatch):
    seen = []
    monkeypatch.setattr(
        steps.dense, "run_dense", lambda cell, state, fired, n, keep_every, share: (seen.append(keep_every), state)[1]
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


@pytest.mark.parametrize("keep_every", [0, 2])
def test_a_second_backward_pass_is_refused(keep_every):
    cell, state, fired = make((9, 7))
    loss = run_dense(cell, state.requires_grad_(), fired, 3, keep_every).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward through a level's steps a second time"):
        loss.backward()


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
