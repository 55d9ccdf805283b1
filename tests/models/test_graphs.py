"""When a level's steps are recorded, and that what is recorded computes the same.

Without a GPU: the recording itself is replaced. tests/training/test_cuda.py has the same with real graphs.
"""

import copy
from functools import partial

import pytest
import torch

from mednca_pipeline.models import steps
from mednca_pipeline.models.graphs import GraphedSteps
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.nca import run_steps

from .cells import PLAN, gradients, make


@pytest.fixture
def recordings(monkeypatch):
    made = []

    def record(module, samples, **_):
        made.append((module.steps, tuple(tuple(sample.shape) for sample in samples), torch.is_autocast_enabled("cpu")))
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    return made


def test_steps_are_recorded_once_for_a_shape(recordings):
    cell, state, fired = make((9, 7))
    graphed = GraphedSteps()
    for _ in range(2):
        assert torch.allclose(graphed(cell, state, fired, 3), run_steps(cell, state, fired, 3))
    graphed(cell, state, None, 3)
    graphed(cell, state[:1], fired[:, :1], 3)
    assert [shapes for _, shapes, _ in recordings] == [
        ((2, 7, 9, 7), (3, 2, 1, 9, 7)),
        ((2, 7, 9, 7),),
        ((1, 7, 9, 7), (3, 1, 1, 9, 7)),
    ]
    assert not copy.deepcopy(graphed).recorded  # another cell's weights


@pytest.mark.parametrize("keep_every", [0, 2])
@pytest.mark.parametrize("fire_rate", [0.75, 1])
@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_gradients_of_recorded_steps(size, fire_rate, keep_every, recordings):
    cell, state, fired = make(size, 2, fire_rate=fire_rate)
    graphed = GraphedSteps()
    for _ in range(2):
        after, expected = gradients(run_steps, cell, state, fired)
        replayed, found = gradients(partial(graphed, keep_every=keep_every), cell, state, fired)
        assert torch.allclose(replayed, after, rtol=1e-12, atol=1e-12)
        for one, other in zip(found, expected, strict=True):
            assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)
        torch.nn.init.normal_(cell.update.weight, std=0.1)
        state = torch.randn_like(state)
    assert len(recordings) == 1


def test_the_type_of_autocast_is_recorded_but_not_its_cache(recordings):
    cell, state, fired = make((9, 7))
    cell, state, graphed = cell.float(), state.float(), GraphedSteps()
    with torch.backends.mkldnn.flags(enabled=False), torch.autocast("cpu", torch.bfloat16):
        coarse = graphed(cell, state, fired, 3)
    assert recordings[0][2] is False
    exact = run_steps(cell, state, fired, 3)
    assert coarse.dtype == torch.float32 and 0 < (coarse - exact).abs().max() < 0.05
    assert torch.allclose(graphed(cell, state, fired, 3), exact, atol=1e-6)  # without autocast: recorded anew
    cell, state = cell.double(), state.double()
    assert graphed(cell, state, fired, 3).dtype == torch.float64
    assert len(recordings) == 3


def test_training_on_a_gpu_runs_recorded_steps():
    network = MedNCA(PLAN, 2, 1, 2, sigmoid=False)
    assert network.training_steps(torch.device("cuda")) is network.graphed_steps
    assert network.training_steps(torch.device("cpu")) is steps.run_steps


def test_without_a_recording_the_steps_run_one_by_one(monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("capture failed")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    cell, state, fired = make((9, 7))
    assert torch.allclose(GraphedSteps()(cell, state, fired, 3), run_steps(cell, state, fired, 3))
    assert "capture failed" in caplog.text
