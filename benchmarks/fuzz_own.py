"""The pipeline's own files, written by it, to be damaged by benchmarks.fuzz."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy  # noqa: F401  # once, and not in each process
import torch

from benchmarks.fuzz import BYTES, JSON, TEXT, Kind
from benchmarks.fuzz_onnx import description_kind
from mednca_pipeline.crossval.jobs import FoldJob, JobOutcome, read_job, read_outcome
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.deploy.bundle import write_bundle
from mednca_pipeline.deploy.card import make_card
from mednca_pipeline.fingerprint.fingerprint import read_fingerprint
from mednca_pipeline.inference.folder_model import FolderModel
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.quality_table import QualityTable
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.models.weights import load_weights
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.planning.folds import read_groups
from mednca_pipeline.planning.planner import make_plans
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_card import DataFacts
from mednca_pipeline.results.model_folder import ModelFolder, QualityRecord
from mednca_pipeline.results.postprocessing import Postprocessing
from mednca_pipeline.runtime.files import write_json, write_text
from mednca_pipeline.runtime.quality import Threshold
from mednca_pipeline.runtime.weights import read_weights
from mednca_pipeline.training.checkpoint import load_checkpoint
from mednca_pipeline.training.state import new_state
from mednca_pipeline.workspace import Workspace

DATASET = "Dataset001_Phantom"
SIZE = (8, 20, 18)
CASES = tuple(f"phantom_{number:03d}" for number in range(4))


def own_kinds(root: Path) -> list[Kind]:
    """Plans and trains a phantom in `root`; a kind for each file that this and later commands read."""
    torch.set_num_threads(1)
    workspace = _trained(root)
    raw, plans = workspace.raw_folder(DATASET), workspace.plans_folder(DATASET)
    store, model = workspace.preprocessed_folder(DATASET, "2d"), workspace.results_folder(DATASET) / "mednca_2d"
    fold = model / "fold_0"
    digest = _fill(model, fold)
    case = CASES[0]
    known = read_plans(plans / "plans.json")
    state_of = _new_state(known)

    def kind(
        folder: Path, file: str, read: Callable[[Path], Any], kinds: Any = JSON, guarded: int | None = None
    ) -> Kind:
        return Kind(Path(file).name, folder, file, read, kinds, guarded)

    made = [
        kind(raw, "dataset.json", load_dataset),
        kind(plans, "plans.json", _read_plans),
        kind(plans, "splits.json", lambda folder: read_splits(folder / "splits.json", CASES)),
        kind(plans, "fingerprint.json", _read_fingerprint),
        kind(plans, "groups.csv", lambda folder: read_groups(folder / "groups.csv", CASES), TEXT),
        kind(fold, "run.json", lambda folder: FoldFolder(folder).state()),
        kind(fold, "summary.json", _read_summary),
        kind(fold, "job.json", lambda folder: read_job(folder / "job.json").folder),
        kind(fold, "outcome.json", lambda folder: read_outcome(folder / "outcome.json")),
        kind(fold, "checkpoint.pt", lambda folder: _read_checkpoint(folder, state_of), BYTES, 0),
        kind(fold, "final.safetensors", lambda folder: _read_weights(folder, known), TEXT),
        kind(model, "model.json", lambda folder: ModelFolder(folder).record()),
        kind(model, "postprocessing.json", lambda folder: ModelFolder(folder).postprocessing(digest)),
        kind(model, "quality.json", lambda folder: ModelFolder(folder).quality()),
        kind(fold, "quality.csv", lambda folder: QualityTable(folder / "quality.csv", ["case", "file"]).rows, TEXT),
        kind(store, f"{case}.properties.json", lambda folder: CaseStore(folder).properties(case)),
        kind(store, f"{case}.image.b2nd", lambda folder: CaseStore(folder).image(case)[:], BYTES, 0),
        kind(store, f"{case}.labels.b2nd", lambda folder: CaseStore(folder).labels(case)[:], BYTES, 0),
    ]
    loaded = Kind("model folder: plans.json", model, "plans.json", _load_model, JSON)
    weights = Kind("model folder: weights", model, "fold_0/final.safetensors", _load_model, BYTES)
    bundle = Kind("bundle", _exported(model, root / "bundle"), "a.mednca", _load_bundle, BYTES)
    return [*made, loaded, weights, bundle, description_kind(root / "onnx", known)]


def _trained(root: Path) -> Workspace:
    write_phantom_dataset(root / "raw" / DATASET, n_train=len(CASES), n_test=1, size=SIZE)
    common = ["--root", str(root), "-np", "0", "--quiet"]
    planning, training = ["-d", "1", "--folds", "2"], ["1", "0", "--config", "2d", "--iterations", "2"]
    for command, arguments in (("plan_and_preprocess", planning), ("train", training)):  # threads do not survive a fork
        subprocess.run([sys.executable, "-m", f"mednca_pipeline.cli.{command}", *arguments, *common], check=True)
    return Workspace(root)


def _fill(model: Path, fold: Path) -> str:
    """Writes the files that only other commands make. Returns the digest of the model's plans."""
    digest = read_plans(model / "plans.json").digest("2d", "mednca")
    write_json(fold / "job.json", FoldJob("/tmp", DATASET, "mednca", "2d", 0, budget_s=60.0, id="x"))
    write_json(fold / "outcome.json", JobOutcome("x", "failed", "no memory", "ours", 1.5))
    write_text(fold / "quality.csv", "case,file,flag\na,a.nii.gz,ok\nb,b.nii.gz,review\n")
    write_text(model.parents[2] / "plans" / DATASET / "groups.csv", "".join(f"{name},p1\n" for name in CASES))
    write_json(model / "quality.json", QualityRecord(digest, (0,), Threshold(0.2, "by hand")))
    metrics = {name: {"anterior": {"dice": 0.5, "hd95": 2.0}} for name in CASES}
    write_json(model / "postprocessing.json", Postprocessing({"anterior": 1}, {}, (0,), digest, metrics, "x"))
    return digest


def _exported(model: Path, folder: Path) -> Path:
    """A folder with the model's bundle."""
    folder.mkdir()
    found = FolderModel.open(model)
    write_bundle(found, (0,), "float16", make_card(found, (0,), DataFacts()), folder / "a.mednca")
    return folder


def _read_plans(folder: Path) -> Any:
    plans = read_plans(folder / "plans.json")
    for name, config in plans.configs.items():
        for model in config.models:
            plans.digest(name, model)
            with torch.device("meta"):
                if model.startswith("mednca"):
                    build_model(model, plans, name)
    return plans


def _read_fingerprint(folder: Path) -> Any:
    fingerprint = read_fingerprint(folder / "fingerprint.json")
    make_plans(fingerprint, {}, 4_000_000_000)
    return fingerprint


def _read_summary(folder: Path) -> Any:
    summary = FoldFolder(folder).summary()
    for case in summary.cases.values():
        case.score("foreground")
    return summary


def _new_state(plans: Plans) -> Callable[[], Any]:
    plan = plans.config("2d").model("mednca")
    return lambda: new_state(build_model("mednca", plans, "2d"), plan.training, 2)


def _read_checkpoint(folder: Path, state_of: Callable[[], Any]) -> Any:
    state = state_of()
    identity = FoldFolder(folder).run()
    assert identity is not None
    load_checkpoint(folder / "checkpoint.pt", state, f"{identity.digest} {identity.split}")
    tensors = {name: tensor.numpy() for name, tensor in state.model.state_dict().items()}
    return tensors, state.iteration, state.rows


def _read_weights(folder: Path, plans: Plans) -> Any:
    load_weights(folder / "final.safetensors", build_model("mednca", plans, "2d"))
    return read_weights(folder / "final.safetensors").arrays


def _load_model(folder: Path) -> Any:
    """As mednca_predict loads a model, and predicts."""
    return _predict(Predictor.from_folder(folder, options=PredictionOptions(device="cpu")))


def _load_bundle(folder: Path) -> Any:
    return _predict(Predictor.from_bundle(folder / "a.mednca", options=PredictionOptions(device="cpu")))


def _predict(predictor: Predictor) -> Any:
    image = np.random.default_rng(0).normal(size=(1, *SIZE)).astype(np.float32)
    predictor.predict(image, (1.0, 1.0, 1.0))
    return predictor.plans
