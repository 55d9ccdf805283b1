"""The benchmark of memory: its forms of one training step run, and its table compares both peaks."""

import pytest
import torch

from benchmarks import memory


@pytest.mark.parametrize("form", memory.FORMS)
def test_every_form_is_a_training_step(form):
    memory.long_step(form, torch.device("cpu"), steps=3, size=(12, 10))()


def test_table_compares_the_steps_and_the_process():
    row = {"dataset": "Dataset004_Hippocampus", "model": "mednca", "config": "2d", "batch": 8}
    row |= {"expected_bytes": 120_000_000, "measured_bytes": 100_000_000, "process_bytes": 580_000_000}
    *_, line = memory.table([row]).splitlines()
    assert line == "| Dataset004_Hippocampus | mednca_2d | 8 | 120 | 100 | 1.20 | 870 | 580 | 1.50 |"
