"""Seconds per case of mednca and unet_small from file to file, and how an image's size changes them.

    python -m benchmarks.prediction --root WORKSPACE [-d 4 12 20 21] [--cases 8] [--rounds 5]
    python -m benchmarks.prediction --scaling --root WORKSPACE --weights FOLDER

1. Loaded models, one thread, validation cases of fold 0: reading, preprocessing, predicting, restoring and writing.
   mednca has the weights of the longest training of the present plan in results/recipe/finals; five folds are five
   copies of them. unet_small's weights are those that a training starts from: its time does not depend on them. The
   default of earlier versions, ten random runs that compute every cell, is measured with the same weights. All pieces
   of work run in turn in each round. Dice is of all validation cases.
2. --scaling: chest X-rays of 512 pixels, enlarged to 1024 and 2048, at their native resolution. FOLDER is a model
   trained at 512 pixels (mednca_plan_and_preprocess -d 21 --spacing 1). For each doubling it has one more level, with
   the finest level's weights: all levels above see what they were trained on. Memory is the peak of a process of its
   own.
Writes results/benchmarks/prediction.md and .json (prediction_scaling with --scaling).
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ROOT = Path(__file__).parents[1]
FINALS = ROOT / "results" / "recipe" / "finals"
FOLDS, OLD_RUNS = 5, 10
AIMS = {  # of unet_small's seconds: with the quality score, and without
    "Dataset004_Hippocampus": (0.7, 0.5),
    "Dataset012_PROMISE12": (0.4, 0.25),
    "Dataset020_BUSI": (0.6, 0.4),
    "Dataset021_ChestXray": (0.5, 0.35),
}
SCORED, PLAIN, UNET = "mednca, one fold, quality score", "mednca, one fold", "unet_small, one fold"
FIVE, OLD = "mednca, five folds, quality score", "mednca, five folds, ten random runs of every cell"
SIDES = (512, 1024, 2048)


@dataclass(frozen=True)
class Prepared:
    """A dataset's models in a scratch workspace, and its cases."""

    dataset: str
    mednca: Path
    unet: Path
    cases: list


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with raw/ and plans/*/splits.json")
    parser.add_argument("-d", nargs="+", default=["4", "12", "20", "21"])
    parser.add_argument("--cases", type=int, default=8, help="timed validation cases (default: 8)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--weights", type=Path, help="model folder trained at 512 pixels, for --scaling")
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)  # one size, in a process of its own
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in THREADS.items()):
        sys.exit(subprocess.call([sys.executable, *sys.orig_argv[1:]], env=os.environ | THREADS))
    if arguments.side:
        print(json.dumps(one_size(arguments.root, arguments.weights, arguments.side)))
    elif arguments.scaling:
        scaling(arguments)
    else:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    from mednca_pipeline.execution.libraries import keep_freed_memory

    keep_freed_memory()
    rows = []
    for dataset in arguments.d:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = prepare(arguments.root.resolve(), dataset, Path(scratch))
            rows.append(measured(prepared, arguments.cases, arguments.rounds, Path(scratch) / "out"))
            print(table(rows), flush=True)
        write("prediction", rows, table(rows))  # after each: the next may take minutes


def prepare(root: Path, dataset: str, scratch: Path) -> Prepared:
    import torch

    from mednca_pipeline.datasets.dataset import load_dataset
    from mednca_pipeline.models.registry import build_model, read_plans
    from mednca_pipeline.models.weights import save_weights
    from mednca_pipeline.plans.splits import read_splits
    from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
    from mednca_pipeline.results.run_record import RunRecord
    from mednca_pipeline.workspace import Workspace

    workspace = Workspace(root)
    name = workspace.resolve(dataset)
    plans = read_plans(ROOT / "plans" / "reference" / name / "plans.json")
    config = plans.default_config
    folders = {}
    for model in ("mednca", "unet_small"):
        digest, record = plans.digest(config, model), ModelRecord(name, model, config)
        folder = ModelFolder.of(scratch, record)
        folders[model] = folder.path
        for fold in range(FOLDS if model == "mednca" else 1):
            folder.begin(record, plans, RunRecord(fold=fold, digest=digest))
            file = folder.fold(fold).weights
            if model == "mednca":
                shutil.copy(longest_training(name, config, digest), file)
            else:
                torch.manual_seed(0)
                save_weights(file, build_model(model, plans, config))
    raw = {case.name: case for case in load_dataset(workspace.raw_folder(name)).training}
    fold = read_splits(workspace.splits_file(name), list(raw))[0]
    return Prepared(name, folders["mednca"], folders["unet_small"], [raw[case] for case in fold.val])


def longest_training(dataset: str, config: str, digest: str) -> Path:
    """Weights of the present plan with the most iterations."""
    from mednca_pipeline.results.fold_folder import FoldFolder

    kept = map(FoldFolder, sorted(FINALS.glob(f"{dataset}_mednca_{config}_*_{digest[:8]}")))
    found = [fold for fold in kept if fold.weights.is_file()]
    if not found:
        sys.exit(f"{FINALS}: no weights of {dataset}'s present plan: run python -m benchmarks.recipe.finals first")
    return max(found, key=lambda fold: fold.run().iterations).weights


def measured(prepared: Prepared, n_cases: int, rounds: int, out: Path) -> dict:
    """A row of the table: medians over the rounds of seconds per case, and Dice."""
    import numpy as np

    from mednca_pipeline.inference.options import PredictionOptions
    from mednca_pipeline.inference.predictor import Predictor

    def load(folder: Path, folds: list[int] | None, **options: Any) -> Predictor:
        return Predictor.from_folder(folder, folds, PredictionOptions(device="cpu", **options))

    predictors = {
        SCORED: load(prepared.mednca, [0]),
        PLAIN: load(prepared.mednca, [0], quality=False),
        UNET: load(prepared.unet, [0]),
        FIVE: load(prepared.mednca, None),
        OLD: load(prepared.mednca, None, runs=OLD_RUNS, quality=False, everywhere=True),
    }
    indices = np.linspace(0, len(prepared.cases) - 1, min(n_cases, len(prepared.cases))).round().astype(int)
    timed = [prepared.cases[index] for index in indices]
    out.mkdir(exist_ok=True)
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for number in range(1 + rounds):
        for name, predictor in predictors.items():
            if name == OLD and number > 1:
                continue  # it takes most of the time, and its share hardly varies
            start = time.perf_counter()
            for case in timed:
                predict(predictor, case, out)
            seconds[name].append((time.perf_counter() - start) / len(timed))
    medians = {name: float(np.median(values[1:])) for name, values in seconds.items()}
    one_fold_old = load(prepared.mednca, [0], runs=OLD_RUNS, quality=False, everywhere=True)
    everywhere = load(prepared.mednca, [0], quality=False, everywhere=True)
    return {
        "dataset": prepared.dataset,
        "cases": len(timed),
        "rounds": rounds,
        "seconds": medians,
        "dice": {
            "default": mean_dice(predictors[PLAIN], prepared.cases),
            "every cell": mean_dice(everywhere, prepared.cases),
            "ten random runs of every cell": mean_dice(one_fold_old, prepared.cases),
        },
    }


def predict(predictor, case, out: Path) -> None:
    from mednca_pipeline.inference.cases import predict_case
    from mednca_pipeline.inference.inputs import InputCase
    from mednca_pipeline.runtime.images import split_ending

    predict_case(predictor, InputCase(case.name, tuple(case.images), split_ending(case.images[0])[1]), out)


def mean_dice(predictor, cases: Sequence) -> float:
    """Of the merged foreground, over the cases."""
    from statistics import mean

    from benchmarks.scans import read_scan
    from mednca_pipeline.evaluation.metrics import dice_by_policy

    found, labels = [], predictor.plans.labels
    for case in cases:
        scan = read_scan(case)
        predicted = predictor.predict(scan.array, scan.spacing_mm).labels
        found.append(dice_by_policy(labels.foreground(predicted), labels.foreground(scan.labels)))
    return mean(found)


def table(rows: Sequence[dict]) -> str:
    lines = [
        "| dataset | unet_small, s | mednca with score, s (ratio; asked) | without score, s (ratio; asked) | "
        "five folds with score, s | ten runs of every cell, s (ratio; asked) | Dice: default, every cell, ten runs |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        seconds, unet = row["seconds"], row["seconds"][UNET]
        scored, plain = AIMS.get(row["dataset"], (1.0, 1.0))
        dice = ", ".join(f"{value:.4f}" for value in row["dice"].values())
        lines.append(
            f"| {row['dataset']} | {unet:.3f} | {seconds[SCORED]:.3f} ({seconds[SCORED] / unet:.2f}; {scored}) | "
            f"{seconds[PLAIN]:.3f} ({seconds[PLAIN] / unet:.2f}; {plain}) | {seconds[FIVE]:.3f} | "
            f"{seconds[OLD]:.3f} ({seconds[FIVE] / seconds[OLD]:.3f}; 0.1) | {dice} |"
        )
    return "\n".join(lines)


def scaling(arguments: argparse.Namespace) -> None:
    """Each size in a process of its own."""
    rows = []
    for side in SIDES:
        command = [sys.executable, "-m", "benchmarks.prediction", "--scaling", "--side", str(side)]
        command += ["--root", str(arguments.root.resolve()), "--weights", str(arguments.weights.resolve())]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(scaling_table(rows), flush=True)
    write("prediction_scaling", rows, scaling_table(rows))


def one_size(root: Path, weights: Path, side: int) -> dict:
    """Seconds of the validation images enlarged to `side`, and the peak of this process."""
    import numpy as np
    from PIL import Image

    from mednca_pipeline.datasets.dataset import load_dataset
    from mednca_pipeline.inference.options import PredictionOptions
    from mednca_pipeline.inference.predictor import Predictor
    from mednca_pipeline.plans.splits import read_splits
    from mednca_pipeline.workspace import Workspace

    workspace = Workspace(root)
    name = workspace.resolve("21")
    raw = {case.name: case for case in load_dataset(workspace.raw_folder(name)).training}
    names = read_splits(workspace.splits_file(name), list(raw))[0].val[:6]
    with tempfile.TemporaryDirectory() as scratch:
        model = enlarged_model(weights, Path(scratch), side // SIDES[0])
        pictures = Path(scratch) / "in"
        pictures.mkdir()
        for case in names:
            with Image.open(raw[case].images[0]) as picture:
                picture.resize((side, side), Image.Resampling.BICUBIC).save(pictures / f"{case}.png")
        predictor = Predictor.from_folder(model, [0], PredictionOptions(device="cpu", quality=False))
        out = Path(scratch) / "out"
        out.mkdir()
        seconds = []
        for _ in range(4):
            start = time.perf_counter()
            for case in names:
                predict_file(predictor, pictures / f"{case}.png", out)
            seconds.append((time.perf_counter() - start) / len(names))
    return {
        "side": side,
        "seconds": float(np.median(seconds[1:])),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def predict_file(predictor, file: Path, out: Path) -> None:
    from mednca_pipeline.inference.cases import predict_case
    from mednca_pipeline.inference.inputs import InputCase

    predict_case(predictor, InputCase(file.stem, (file,), file.suffix), out)


def enlarged_model(folder: Path, scratch: Path, scale: int) -> Path:
    """The model for images `scale` times as large: log2(scale) more levels, with the finest level's weights."""
    from safetensors.numpy import load_file, save_file

    from mednca_pipeline.models.registry import read_plans
    from mednca_pipeline.plans.model_plans import LevelPlan
    from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
    from mednca_pipeline.results.run_record import RunRecord

    plans = read_plans(ModelFolder(folder).plans_file)
    config = plans.configs["2d"]
    plan, weights = config.models["mednca"], load_file(ModelFolder(folder).fold(0).weights)
    levels, last = plan.levels, len(plan.levels) - 1
    while scale > 1:
        levels = (*(replace(level, factor=tuple(2 * f for f in level.factor)) for level in levels), levels[-1])
        levels = (*levels[:-1], LevelPlan((1, 1), plan.levels[-1].steps))
        scale //= 2
    for index in range(last + 1, len(levels)):
        finest = f"cells.{last}."
        weights |= {
            name.replace(finest, f"cells.{index}."): value for name, value in weights.items() if name.startswith(finest)
        }
    grown = len(levels) - len(plan.levels)
    size = tuple(side * 2**grown for side in config.image_size)
    position = tuple(side * 2**grown for side in plan.position)
    grown_plan = replace(plan, levels=levels, position=position)
    config = replace(config, image_size=size).with_model("mednca", grown_plan)
    plans = replace(plans, configs={**plans.configs, "2d": config})
    record = ModelRecord(plans.dataset, "mednca", "2d")
    made = ModelFolder.of(scratch, record)
    made.begin(record, plans, RunRecord(fold=0, digest=plans.digest("2d", "mednca")))
    save_file(weights, made.fold(0).weights)
    return made.path


def scaling_table(rows: Sequence[dict]) -> str:
    lines = [
        "| pixels | s per image (growth; asked below 2.5) | peak memory, MB (asked below 400 at 2048) |",
        "|---|---|---|",
    ]
    for index, row in enumerate(rows):
        growth = f" ({row['seconds'] / rows[index - 1]['seconds']:.2f})" if index else ""
        side, peak = row["side"], row["peak_bytes"] / 1e6
        lines.append(f"| {side}x{side} | {row['seconds']:.3f}{growth} | {peak:.0f} |")
    return "\n".join(lines)


FROM_FILE_TO_FILE = "One thread, loaded models, from file to file; how: the head of benchmarks/prediction.py."


def write(name: str, rows: list[dict], text: str, head: str = FROM_FILE_TO_FILE) -> None:
    from mednca_pipeline.evaluation.provenance import provenance
    from mednca_pipeline.runtime.files import write_json, write_text

    from .timing import OUT, command_line

    origin, command = provenance(), command_line()
    said = ", ".join(f"{key} {value}" for key, value in origin.items())
    write_json(OUT / f"{name}.json", {"command": command, **origin, "rows": rows})
    write_text(OUT / f"{name}.md", f"`{command}`; {said}\n\n{head}\n\n{text}\n")


if __name__ == "__main__":
    main()
