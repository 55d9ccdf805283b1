"""States that are computed again on the backward pass, by either backend."""

import pytest

from mednca_pipeline.models.dense import run_dense
from mednca_pipeline.models.gradient_checkpointing import CheckpointedSteps
from mednca_pipeline.models.sparse import run_sparse

from .cells import make


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


@pytest.mark.parametrize("backend", [run_dense, run_sparse])
@pytest.mark.parametrize("keep_every", [0, 2])
def test_a_second_backward_pass_is_refused(keep_every, backend):
    cell, state, fired = make((9, 7))
    loss = backend(cell, state.requires_grad_(), fired, 3, keep_every).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward through a level's steps a second time"):
        loss.backward()
