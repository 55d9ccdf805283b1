"""A workspace in which a script writes what trainings would, in place of run_job."""

import json

import nibabel as nib
import numpy as np
import torch

from mednca_pipeline.crossval.options import CrossvalOptions
from mednca_pipeline.models.registry import build_model
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan, UNetPlan
from mednca_pipeline.plans.plans import ConfigPlan, Plans, TrainingRange, write_plans
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan
from mednca_pipeline.workspace import open_workspace

DATASET = "Dataset004_Hippocampus"
BOTH = ("unet_small", "mednca")
TRAIN = """
import json, pathlib, shutil, sys
file = pathlib.Path(sys.argv[1])
job = json.loads(file.read_text(encoding="utf-8"))
root, dataset, fold = pathlib.Path(job["root"]), job["dataset"], job["fold"]
folder = root / "results" / dataset / (job["model"] + "_" + job["config"]) / ("fold_%d" % fold)
with (root / "calls.jsonl").open("a") as stream:
    stream.write(json.dumps(job) + "\\n")
def end(state="done", **more):
    outcome = dict(schema=1, id=job["id"], state=state, minutes=0.1, **more)
    (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    sys.exit(0)
if job["action"] == "time":
    end(iterations=321)
if (root / "broken").exists() and fold == 1:
    end("failed", error="case x is broken", fault="input")
(folder / "validation").mkdir(parents=True, exist_ok=True)
shutil.copy(root / "plans" / dataset / "plans.json", folder.parent / "plans.json")
digests = json.loads((root / "digests.json").read_text(encoding="utf-8"))
digest, split = digests[job["model"]], digests["splits"][fold]
iterations = job["iterations"] or 321
run = dict(schema=1, finished=True, digest=digest, split=split, iterations=iterations, seed=0, device="cpu", threads=1,
           command=job["command"], parameters=10, file_bytes=40, training_minutes=1.0, peak_memory_bytes=1)
(folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
(folder / "final.safetensors").write_bytes(b"")
case = "case%d" % fold
shutil.copy(root / "predicted" / (case + ".nii.gz"), folder / "validation")
values = dict(dice=0.5, hd95=1.0, nsd=0.5, volume_predicted=1.0, volume_reference=1.0)
cases = {case: dict(classes=dict(organ=values, foreground=values), seconds=1.0, quality=None)}
units = dict(distance="mm", volume="mm^dimensions", nsd_tolerance=1.0)
summary = dict(schema=1, policy="", units=units, cases=cases, mean={}, sd={})
(folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
end()
"""


def make_plans(fire_rate=0.5):
    training = TrainingPlan("adam", 1e-3, 2, 0.99, {"cpu": 1.0})
    nca = NCAPlan(8, 16, fire_rate, "rms", "reflect", "matrix", (LevelPlan((1, 1), 4),), training)
    unet = UNetPlan((4, 8, 8), ((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3, (8, 8), training)
    steps = PreprocessingPlan((0, 1, 2), (None, 1.0, 1.0), ("zscore",))
    models = {"mednca": nca, "mednca_paper": nca, "unet": unet, "unet_small": unet}
    return Plans(
        dataset=DATASET,
        channel_names=("MRI",),
        labels=Labels(("organ",), ((1,),)),
        file_ending=".nii.gz",
        spacing_known=True,
        default_config="2d",
        configs={"2d": ConfigPlan("2d", 2, steps, (8, 8), models)},
        training_range=TrainingRange(((1.0, 1.0),) * 3, ((8.0, 8.0),) * 3, ((0.0, 1.0),)),
        decisions=(),
    )


def make_workspace(tmp_path):
    """Three cases, three folds of one case each; every prediction has a stray voxel besides the true organ."""
    raw = tmp_path / "raw" / DATASET
    for folder in (raw / "imagesTr", raw / "labelsTr", tmp_path / "predicted"):
        folder.mkdir(parents=True)
    truth = np.zeros((6, 6, 6), np.uint8)
    truth[1:4, 1:4, 1:4] = 1
    predicted = truth.copy()
    predicted[5, 5, 5] = 1
    for index in range(3):
        for file, array in (
            (raw / "imagesTr" / f"case{index}_0000.nii.gz", np.random.default_rng(index).normal(size=truth.shape)),
            (raw / "labelsTr" / f"case{index}.nii.gz", truth),
            (tmp_path / "predicted" / f"case{index}.nii.gz", predicted),
        ):
            nib.save(nib.Nifti1Image(array.astype(np.float32 if "images" in str(file) else np.uint8), np.eye(4)), file)
    dataset = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "organ": 1}, "numTraining": 3}
    write_json(raw / "dataset.json", {**dataset, "file_ending": ".nii.gz"})
    names = [f"case{index}" for index in range(3)]
    folds = [{"train": [other for other in names if other != name], "val": [name]} for name in names]
    opened = open_workspace(tmp_path)
    write_json(opened.splits_file(DATASET), {"schema": 1, "folds": folds})
    use_plans(opened, make_plans())
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    return opened


def use_plans(workspace, plans):
    write_plans(workspace.plans_file(DATASET), plans)
    models = ("mednca", "mednca_paper", "unet", "unet_small")
    digests = {model: plans.digest("2d", model) for model in models}
    splits = read_splits(workspace.splits_file(DATASET), [f"case{index}" for index in range(3)])
    write_json(workspace.root / "digests.json", {**digests, "splits": [fold.digest for fold in splits]})


def options(workspace, **changes):
    return CrossvalOptions("4", **{"models": ("mednca",), "runner": (str(workspace.root / "train.py"),), **changes})


def calls(workspace, action="train"):
    """The jobs that were done."""
    file = workspace.root / "calls.jsonl"
    made = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    return [job for job in made if job["action"] == action]


def model_folder(workspace, model="mednca"):
    return ModelFolder.of(workspace.results_folder(DATASET), ModelRecord(DATASET, model, "2d"))


def fold_folder(workspace, fold, model="mednca"):
    return model_folder(workspace, model).fold(fold).path


def plant_weights(workspace, folds=(0, 1, 2)):
    """Random weights in place of those that no training made."""
    for index, model in enumerate(("mednca", "unet_small")):
        for fold in folds:
            torch.manual_seed(10 * index + fold)
            network = build_model(model, make_plans(), "2d")
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.5)
            save_weights(fold_folder(workspace, fold, model) / "final.safetensors", network)
