"""Which backend runs the steps of a level."""

import torch

from mednca_pipeline.models import steps
from mednca_pipeline.models.dense import fits

from .cells import make


def test_the_backend_is_chosen_by_the_cell(monkeypatch):
    used = []
    monkeypatch.setattr(steps.dense, "run_dense", lambda *_: used.append("dense"))
    monkeypatch.setattr(steps.nca, "run_steps", lambda *_: used.append("plain"))
    for norm in ("layer", "rms"):
        cell, state, fired = make((4, 4), norm=norm)
        assert fits(cell) == (norm == "layer")
        steps.run_steps(cell, state, fired, 3)
    assert used == ["dense", "plain"]


def test_it_pays_where_few_cells_fire():
    few, many = (torch.rand(3, 2, 1, 40, 40) < rate for rate in (0.5, 0.75))
    assert steps.pays_sparse(few, "cpu")
    assert not steps.pays_sparse(many, "cpu")
    assert not steps.pays_sparse(None, "cpu")
    assert not steps.pays_sparse(few, "cuda")


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
