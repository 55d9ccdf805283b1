"""Planning, prediction and evaluation by a cluster's workers: what they write is what this process writes."""

import json

import pytest

from mednca_pipeline.cli.evaluate import main as evaluate
from mednca_pipeline.cli.plan_and_preprocess import main as plan
from mednca_pipeline.cli.predict import main as predict
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.workspace import open_workspace

from .clusters import local_cluster

pytestmark = pytest.mark.slow

DATASET = "Dataset001_Phantom"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with local_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def planned(root, *more):
    write_phantom_dataset(root / "raw" / DATASET, n_train=4, n_test=2, seed=0, size=(4, 26, 24))
    command = ["-d", "1", "--root", str(root), "--folds", "2", "--config", "2d", "--quiet", *more]
    assert plan(command) == 0
    return open_workspace(root)


def untrained(workspace, plans: Plans):
    record = ModelRecord(DATASET, "mednca", "2d")
    folder = ModelFolder.of(workspace.results_folder(DATASET), record)
    folder.begin(record, plans, RunRecord(fold=0, digest=plans.digest("2d", "mednca")))
    save_weights(folder.fold(0).weights, build_model("mednca", plans, "2d"))


def test_the_commands_write_what_they_write_here(cluster, tmp_path):
    here = planned(tmp_path / "here", "-np", "0")
    there = planned(tmp_path / "there", "--cluster", cluster.address)
    for file in (here.plans_file(DATASET), here.fingerprint_file(DATASET)):
        assert file.read_bytes() == (there.plans_folder(DATASET) / file.name).read_bytes()
    stores = [CaseStore(workspace.preprocessed_folder(DATASET, "2d")) for workspace in (here, there)]
    assert stores[0].cases() == stores[1].cases() and len(stores[0].cases()) == 4
    for case in stores[0].cases():
        assert (stores[0].image(case)[:] == stores[1].image(case)[:]).all()
    untrained(here, read_plans(here.plans_file(DATASET)))
    images, labels = (str(here.raw_folder(DATASET) / name) for name in ("imagesTs", "labelsTs"))
    summaries = []
    for out, more in (("one", ()), ("other", ("--cluster", cluster.address))):
        predictions = tmp_path / out
        command = ["-i", images, "-o", str(predictions), "--root", str(here.root), "--quiet", *more]
        assert predict(command) == 0
        assert (
            evaluate(["-p", str(predictions), "-l", labels, "-d", "1", "--root", str(here.root), "--quiet", *more]) == 0
        )
        summaries.append(json.loads((predictions / "summary.json").read_text(encoding="utf-8")))
    assert summaries[0] == summaries[1] and len(summaries[0]["cases"]) == 2
    assert all(process.poll() is None for process in cluster.workers)
