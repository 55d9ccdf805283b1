"""The speed benchmarks run, at sizes that say nothing of speed, and write what they measured."""

import json

import numpy as np
import pytest
import torch

from benchmarks import cell_norms, step, timing, training
from benchmarks.timing import OURS, PRODUCT
from mednca_pipeline.models.mednca import MedNCA


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Where they write. Their threads are theirs."""
    monkeypatch.setattr(timing, "OUT", tmp_path)
    monkeypatch.setattr(timing, "WARMUP", 0)
    monkeypatch.setattr("sys.argv", ["made", "--rounds", "1", "--threads", "1"])
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def rows_of(file):
    return {case["case"]: case["work"] for case in json.loads(file.read_text(encoding="utf-8"))["cases"]}


def test_steps(written, monkeypatch):
    monkeypatch.setattr(step, "STEPS", 2)
    monkeypatch.setattr(step, "CASES", {"seen": (2, (8, 8), False), "learned": (2, (8, 8), True)})
    asked, chosen = [], MedNCA.training_steps
    monkeypatch.setattr(MedNCA, "training_steps", lambda *given: (asked.append(given[1].type), chosen(*given))[1])
    step.main()
    assert asked == ["cpu"]  # training's own choice, which is another on a GPU
    rows = rows_of(written / "step.json")
    assert list(rows) == ["seen", "learned"]
    assert all(set(row) == {"authors", "plain", "dense", OURS, PRODUCT} for row in rows.values())
    assert "| seen: authors / ours |" in (written / "step.md").read_text(encoding="utf-8")


def test_training_steps(written, monkeypatch):
    monkeypatch.setattr(training, "BATCH", 2)
    training.main()
    published, planned, iteration = rows_of(written / "training.json").values()
    assert set(published) == {"authors", OURS, PRODUCT}
    assert set(planned) == {"plain", OURS, PRODUCT}
    assert set(iteration) == {"plain", OURS}
    assert "| planned hippocampus network, whole iteration: plain / ours |" in (written / "training.md").read_text(
        encoding="utf-8"
    )


def test_norms_of_the_cell(written, monkeypatch, capsys):
    monkeypatch.setattr(cell_norms, "SIZE", (4, 4))

    def interleaved(works, rounds, device):
        for run in works.values():
            run()
        return {name: np.array([0.002, 0.002]) * (1 + index / 2) for index, name in enumerate(works)}

    monkeypatch.setattr(timing, "interleaved", interleaved)
    cell_norms.main()
    found = [line.split()[-3:] for line in capsys.readouterr().out.splitlines()]
    assert found == [["2.0", "ms", "+0%"], ["3.0", "ms", "+50%"], ["4.0", "ms", "+100%"], ["5.0", "ms", "+150%"]]
