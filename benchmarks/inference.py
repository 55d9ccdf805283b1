"""Prediction: the published network against the authors', and one hippocampus case from file to file.

    python -m benchmarks.inference [--threads N] [--device cpu|cuda] [--rounds N] [--image FILE]

1. One run of the published network over 36 slices of 64x64 (levels /4 and /1, 16 steps each), the authors' step and
   ours as prediction calls it, masks included; and the rate of a matrix product of the same size.
2. `mednca_predict` with the planned hippocampus network, untrained, on one volume of 35x51x35 mm: the
   command as a whole, what of it is start-up, and the same prediction in a running process; with --fast, and with
   five folds and the quality score.
Writes results/benchmarks/inference.json and inference.md (inference_cuda on a GPU).
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from mednca_pipeline.execution.processes import cores
from mednca_pipeline.inference.batch import Settings
from mednca_pipeline.inference.cases import predict_case
from mednca_pipeline.inference.inputs import find_inputs
from mednca_pipeline.inference.network import Asked
from mednca_pipeline.inference.torch_nca import TorchNCA
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.runtime.quality import Deviation
from mednca_pipeline.workspace import Workspace

from . import timing
from .authors import IMAGE_SIZE, published, with_weights_of
from .timing import OURS, PRODUCT, Work

ROOT = Path(__file__).parents[1]
PLANS = ROOT / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json"
SLICES, FOLDS = 36, 5
VOLUME = (35, 51, 35)  # voxels of 1 mm, a typical case
IMPORTED = "mednca_pipeline.inference.batch, mednca_pipeline.inference.run_report, mednca_pipeline.execution.progress"
NOTES = """\
GFLOP/s counts firing cells only, and the image channel once per level: of a level's cell 0.5 * steps * 2 * (9 + 1) *
(C - 1) * hidden, and 2 * 9 * hidden, with the perception folded into one matrix. The matrix product is (cells of the
finest level, 9*C) @ (9*C, hidden). Ours is TorchNCA.probabilities: padding, masks, logits, softmax. In a running
process: reading the image, predicting and writing labels, with the weights loaded before. "Start-up of the command" is
its wall clock less the seconds that it reports for the case, in which it reads, predicts for the first time in its
process, and writes."""


def main() -> None:
    parser = timing.options(__doc__, rounds=10)
    parser.add_argument("--image", type=Path, help="predict this file instead of a made-up volume")
    arguments = parser.parse_args()
    device = timing.begin(arguments)
    record = timing.measure(f"{SLICES} slices of 64x64, 16+16 steps", works(device), arguments.rounds, device)
    authors, ours = (record["work"][name] for name in ("authors", OURS))
    on_cpu = device.type == "cpu"
    figures = [
        timing.figure("published network: authors / ours", authors["over_ours"], "x", "5" if on_cpu else ""),
        timing.figure("the same: of the product's rate", ours["share_of_product"], "%", "50" if on_cpu else ""),
    ]
    with tempfile.TemporaryDirectory() as folder:
        figures += file_to_file(Path(folder), arguments.image, arguments.threads, arguments.rounds, device)
    timing.record("inference", figures, [record], NOTES, device)


def works(device: torch.device) -> dict[str, Work]:
    plans = published_plans()
    model, plan = build_model("mednca_paper", plans, "2d"), plans.config("2d").models["mednca_paper"]
    network = TorchNCA(model, plans, "2d", plan, str(device), everywhere=True)
    authors = with_weights_of(model)
    slices = np.random.default_rng(0).random((1, SLICES, *IMAGE_SIZE), np.float32)  # (C, S, H, W)

    @torch.inference_mode()
    def of_authors() -> np.ndarray:
        image = torch.from_numpy(slices).movedim(0, 1).to(device)  # (S, C, H, W)
        return authors.predict_logits(image).softmax(dim=1).cpu().numpy()

    def of_ours() -> list[np.ndarray]:
        deviation, asked = Deviation(plans.labels), Asked(runs=1, quality=False)
        return [found for seen in network.see(slices) for found in network.probabilities(seen, asked, deviation)]

    grids = [tuple(size // f for size, f in zip(IMAGE_SIZE, level.factor, strict=True)) for level in plan.levels]
    flops = timing.firing_flops(plan, model.n_image, grids, SLICES)
    cells = SLICES * int(np.prod(grids[-1]))
    return {
        "authors": Work(of_authors, flops),
        OURS: Work(of_ours, flops),
        PRODUCT: timing.matrix_product(cells, 9 * plan.channels, plan.hidden, device),
    }


def published_plans() -> Plans:
    """Plans with the published network, for whole images of its size."""
    plans = read_plans(PLANS)
    config = replace(plans.config("2d"), image_size=IMAGE_SIZE).with_model("mednca_paper", published())
    return replace(plans, configs={"2d": config})


def file_to_file(folder: Path, image: Path | None, threads: int, rounds: int, device: torch.device) -> list[dict]:
    """The figures of one case, all pieces of work interleaved."""
    model, image, out = model_folder(folder), image or made_up_volume(folder), folder / "out"
    environment = dict(os.environ) if threads == cores() else os.environ | {"OMP_NUM_THREADS": str(threads)}
    to_predict = ["-i", str(image), "-o", str(out), "--root", str(folder), "-d", PLANS.parent.name, "--quiet"]
    to_predict += ["--overwrite", "--device", device.type]
    of_case: dict[str, list[float]] = {"fast": [], "default": []}

    def command(*words: str) -> None:
        subprocess.run([*predict_command(), *words], check=True, env=environment, stdout=subprocess.DEVNULL)

    def predict(name: str, *more: str) -> Callable[[], None]:
        def run() -> None:
            command(*to_predict, *more)
            of_case[name].append(reported_seconds(out))

        return run

    def imports() -> None:
        subprocess.run([sys.executable, "-c", f"import {IMPORTED}"], check=True, env=environment, cwd=ROOT)

    seconds = timing.interleaved(
        {
            "fast": predict("fast", "--fast"),
            "default": predict("default"),
            "help": lambda: command("--help"),
            "import": imports,
            "fast in process": in_process(
                Settings(model_folders=(model,), folds=(0,), device=device.type, quality=False), image, out
            ),
            "default in process": in_process(Settings(model_folders=(model,), device=device.type), image, out),
        },
        rounds,
        device,
    )
    case = {name: np.array(values[-rounds:]) for name, values in of_case.items()}
    lines = (
        ("--fast, one case in a running process: read, predict, write", seconds["fast in process"], "< 0.3"),
        ("--fast, one case as the command reports it (its process's first)", case["fast"], "< 0.3"),
        ("--fast, start-up of the command", seconds["fast"] - case["fast"], "< 2"),
        ("--fast, the whole command", seconds["fast"], "< 0.3, and < 2 of start-up"),
        ("5 folds with quality score, one case in a running process", seconds["default in process"], "< 2.5"),
        ("5 folds with quality score, one case as the command reports it", case["default"], "< 2.5"),
        ("5 folds with quality score, the whole command", seconds["default"], "< 2.5, and < 2 of start-up"),
        ("start-up: mednca_predict --help", seconds["help"], "< 2"),
        ("start-up: Python imports what a prediction needs", seconds["import"], "< 2"),
    )
    aims = device.type == "cpu"
    return [timing.figure(what, timing.spread(values), "s", aim if aims else "") for what, values, aim in lines]


def model_folder(root: Path) -> Path:
    """As a workspace's trained model with five folds, but with the weights that a training starts from."""
    plans, record = read_plans(PLANS), ModelRecord(PLANS.parent.name, "mednca", "2d")
    folder = ModelFolder.of(Workspace(root).results_folder(record.dataset), record)
    for fold in range(FOLDS):
        folder.begin(record, plans, RunRecord(fold=fold, digest=plans.digest("2d", "mednca")))
        torch.manual_seed(fold)
        save_weights(folder.fold(fold).weights, build_model("mednca", plans, "2d"))
    return folder.path


def made_up_volume(folder: Path) -> Path:
    """A bright ellipsoid in noise, as a NIfTI file of 1 mm voxels."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in VOLUME), indexing="ij")
    distance = sum((axis / radius) ** 2 for axis, radius in zip(axes, (0.4, 0.7, 0.4), strict=True))
    values = 200 + 150 * (distance < 1) + rng.normal(0, 30, VOLUME)
    path = folder / "in" / "volume.nii.gz"
    path.parent.mkdir()
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    return path


def predict_command() -> list[str]:
    """The installed command of this interpreter, or its module where it is not installed."""
    installed = shutil.which("mednca_predict", path=Path(sys.executable).parent)
    return [installed] if installed else [sys.executable, "-m", "mednca_pipeline.cli.predict"]


def reported_seconds(out: Path) -> float:
    with (out / "quality.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    return float(row["seconds"])


def in_process(settings: Settings, image: Path, out: Path) -> Callable[[], None]:
    """Reads, predicts and writes the case as the command does, with the weights loaded."""
    predictor = settings.load()
    (case,), _ = find_inputs(image, len(predictor.plans.channel_names))
    out.mkdir(exist_ok=True)
    return lambda: predict_case(predictor, case, out)


if __name__ == "__main__":
    main()
