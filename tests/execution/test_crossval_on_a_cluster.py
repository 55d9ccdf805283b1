"""A cross-validation on a cluster whose worker is killed in the middle: the tables are those of an undisturbed run."""

import csv
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mednca_pipeline.crossval.options import CrossvalOptions
from mednca_pipeline.crossval.run import crossvalidate
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_folder import ModelFolder
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.workspace import open_workspace

from ..phantom_workspaces import linked_workspace
from .clusters import local_cluster

pytestmark = pytest.mark.slow

MEASURED = ("training_minutes", "seconds_per_case", "peak_memory_bytes", "schedule_percent")  # the last: of minutes
ITERATIONS = 16
SAID_AT_EACH_START = "training and 2 validation cases"


def workspace_in(folder, phantom_workspace):
    folder.mkdir()
    return open_workspace(linked_workspace(phantom_workspace, folder))


def options(**more):
    """Two trainings share this machine's cores, so that both have as many threads wherever they run."""
    return CrossvalOptions("1", ("mednca",), "2d", (0, 1), iterations=ITERATIONS, jobs=2, workers=0, quiet=True, **more)


def folds_of(workspace):
    return [ModelFolder(workspace.results_folder("Dataset001_Phantom") / "mednca_2d").fold(k) for k in (0, 1)]


def table(workspace):
    """comparison.csv without what is measured anew by every run."""
    with (workspace.results_folder("Dataset001_Phantom") / "comparison.csv").open(encoding="utf-8") as stream:
        return [{name: row[name] for name in row if name not in MEASURED} for row in csv.DictReader(stream)]


def origins(workspace):
    text = (workspace.results_folder("Dataset001_Phantom") / "comparison.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("- mednca_2d fold")]


def starts(workspace):
    return sum(fold.log.read_text(encoding="utf-8").count(SAID_AT_EACH_START) for fold in folds_of(workspace))


def kill_in_the_middle(workers, killed):
    """The first worker whose training has left an epoch, as soon as it has."""
    import psutil

    end = time.monotonic() + 120
    while time.monotonic() < end and not killed:
        for worker in workers:
            jobs = [Path(process.cmdline()[-1]) for process in psutil.Process(worker.pid).children()]
            trained = [FoldFolder(job.parent) for job in jobs if job.name == "job.json"]
            if any(fold.curve.exists() for fold in trained):
                worker.kill()
                killed.append(not any(fold.weights.exists() for fold in trained))
                return
        time.sleep(0.02)


def test_a_worker_killed_in_the_middle_changes_no_bit(phantom_workspace, tmp_path):
    undisturbed = workspace_in(tmp_path / "undisturbed", phantom_workspace)
    assert crossvalidate(undisturbed, options()).failed == {}
    disturbed, killed = workspace_in(tmp_path / "disturbed", phantom_workspace), []
    with local_cluster(tmp_path / "cluster") as cluster:
        watch = threading.Thread(target=kill_in_the_middle, args=(cluster.workers, killed), daemon=True)
        watch.start()
        result = crossvalidate(disturbed, options(cluster=cluster.address))
    assert killed == [True], "killed too late to show anything"
    assert result.failed == {} and len(result.trained) == 2
    assert (starts(undisturbed), starts(disturbed)) == (2, 3)  # one fold went on elsewhere
    for one, other in zip(folds_of(undisturbed), folds_of(disturbed), strict=True):
        expected, found = load_file(one.weights), load_file(other.weights)
        assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert table(disturbed) == table(undisturbed) and len(table(disturbed)) == 3
    assert origins(disturbed) == origins(undisturbed) and len(origins(disturbed)) == 2


def test_a_cluster_that_is_not_there_trains_nothing(phantom_workspace, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed (the extra cluster)")
    from mednca_pipeline.execution import executors

    monkeypatch.setattr(executors, "CONNECT_S", 0.5)
    workspace = workspace_in(tmp_path / "workspace", phantom_workspace)
    with pytest.raises(InputError, match="expected a Dask scheduler"):
        crossvalidate(workspace, options(cluster="tcp://127.0.0.1:9"))
    assert not folds_of(workspace)[0].path.exists()
