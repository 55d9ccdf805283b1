"""The benchmark of memory: its forms of one training step run, and its table compares both peaks."""

import pytest
import torch

from benchmarks import memory
from benchmarks.authors import AuthorsMedNCA


@pytest.mark.parametrize("form", memory.FORMS)
def test_every_form_gives_every_weight_a_gradient(form, monkeypatch):
    trained, trains = [], memory.loss_and_gradients
    monkeypatch.setattr(
        memory, "loss_and_gradients", lambda model, *given, **how: (trained.append(model), trains(model, *given, **how))
    )
    memory.long_step(form, torch.device("cpu"), steps=3, size=(12, 10))()
    assert isinstance(trained[0], AuthorsMedNCA) == (form == memory.AUTHORS)
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in trained[0].parameters())


def test_table_compares_the_steps_and_the_process():
    row = {"dataset": "Dataset004_Hippocampus", "model": "mednca", "config": "2d", "batch": 8}
    row |= {"expected_bytes": 120_000_000, "measured_bytes": 100_000_000, "process_bytes": 580_000_000}
    *_, line = memory.table([row]).splitlines()
    assert line == "| Dataset004_Hippocampus | mednca_2d | 8 | 120 | 100 | 1.20 | 870 | 580 | 1.50 |"
