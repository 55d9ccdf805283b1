"""Trains one model with many seeds inside fold 0's training cases, and says which trainings collapsed.

    python -m benchmarks.recipe.stability --root WORKSPACE -d 4 12 --seeds 20 --budget 3min

A training collapsed when its loss ended above its start, when a held-out case with foreground got none, when anything
was not finite, or when the guard gave up. The first --cases of the held-out cases are predicted. Each seed's curve goes
to results/recipe/stability_<dataset>.csv as it ends, so that an interrupted command goes on where it stopped, for the
same plan; figure and table are drawn from all of these. Two runs side by side (--jobs 2), one thread each.
"""

import argparse
import csv
import logging
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mednca_pipeline.execution.libraries import wait_briefly

OUT = Path(__file__).parents[2] / "results" / "recipe"
COLUMNS = "commit,plan,seed,iterations,iteration,loss,dice,magnitude,restores,final_dice,empty_cases,problem".split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="workspace with the planned and preprocessed datasets")
    parser.add_argument("-d", nargs="+", required=True, help="datasets")
    parser.add_argument("--model", default="mednca")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", default="3min")
    parser.add_argument("--cases", type=int, default=4, help="held-out cases to predict")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--child", type=int, metavar="SEED", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    wait_briefly()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.child is not None:
        append(arguments.d[0], one_seed(arguments, arguments.d[0], arguments.child))
        return
    from mednca_pipeline.workspace import Workspace

    datasets = [Workspace(Path(arguments.root).resolve()).resolve(given) for given in arguments.d]
    for dataset in datasets:
        known = seeds_of(dataset, plan_of(arguments, dataset))
        missing = [seed for seed in range(arguments.seeds) if seed not in known]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda seed, dataset=dataset: child(arguments, dataset, seed), missing))
    report(" ".join(sys.argv[1:]).replace(arguments.root, "WORKSPACE"))


def plan_of(arguments: argparse.Namespace, dataset: str) -> str:
    """Digest of the plan that is trained."""
    from mednca_pipeline.models.registry import read_plans
    from mednca_pipeline.workspace import Workspace

    plans = read_plans(Workspace(Path(arguments.root).resolve()).plans_file(dataset))
    return plans.digest(plans.default_config, arguments.model)


def seeds_of(dataset: str, plan: str) -> set[int]:
    """The seeds that are there already. Raises InputError when they are of another plan."""
    from mednca_pipeline.runtime.errors import InputError

    rows = read(dataset)
    others = {row["plan"] for row in rows} - {plan}
    if others:
        raise InputError(
            f"{curves_file(dataset)} has seeds of the plan {', '.join(sorted(others))}, and the present one is {plan}: "
            "remove the file to start anew."
        )
    return {int(row["seed"]) for row in rows}


def child(arguments: argparse.Namespace, dataset: str, seed: int) -> None:
    command = [sys.executable, "-m", "benchmarks.recipe.stability", "--root", arguments.root, "-d", dataset]
    command += ["--model", arguments.model, "--budget", arguments.budget, "--cases", str(arguments.cases)]
    command += ["--child", str(seed)]
    subprocess.run(command, check=True)


def one_seed(arguments: argparse.Namespace, dataset: str, seed: int) -> list[dict]:
    """Trains and measures; returns the rows of its curve, the outcome in each."""
    from mednca_pipeline.evaluation.provenance import commit
    from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
    from mednca_pipeline.training.fold import train_fold
    from mednca_pipeline.training.loop import TrainingDiverged
    from mednca_pipeline.training.options import TrainingOptions
    from mednca_pipeline.training.schedule import parse_budget
    from mednca_pipeline.workspace import Workspace

    from .screen import prepare

    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(Path(scratch))
        arguments.config, arguments.d = None, dataset
        dataset, config = prepare(Path(arguments.root).resolve(), Path(scratch), arguments, {}, arguments.cases)
        options = TrainingOptions(
            dataset=dataset,
            fold=0,
            model=arguments.model,
            config=config,
            budget_s=parse_budget(arguments.budget),
            device="cpu",
            seed=seed,
            workers=0,
            threads=1,
        )
        record = ModelRecord(dataset, arguments.model, config)
        folder = ModelFolder.of(workspace.results_folder(dataset), record).fold(0)
        outcome = {"commit": commit(), "plan": plan_of(arguments, dataset), "seed": seed}
        outcome |= {"final_dice": "", "empty_cases": ""}
        gave_up = ""
        try:
            train_fold(workspace, options)
            summary = folder.summary()
            outcome["final_dice"] = round(summary.raw_means["foreground"]["dice"], 4)
            outcome["empty_cases"] = sum(is_empty(case.classes["foreground"]) for case in summary.cases.values())
        except TrainingDiverged as error:
            gave_up = f"guard gave up: {error}"
        outcome["iterations"] = folder.run().iterations
        with folder.curve.open(encoding="utf-8") as stream:
            curve = list(csv.DictReader(stream))
    rows = [
        {
            "iteration": row["iteration"],
            "loss": row["train_loss"],
            "dice": row["mean_dice"],
            "magnitude": row["hidden_magnitude"],
            "restores": row["restores"],
            **outcome,
        }
        for row in curve
    ]
    problem = gave_up or problem_of(rows)
    return [{**row, "problem": problem} for row in rows]


def is_empty(volumes: Mapping[str, float]) -> bool:
    return volumes["volume_reference"] > 0 and volumes["volume_predicted"] == 0


def problem_of(rows: Sequence[dict]) -> str:
    """Why this training collapsed, or ""."""
    losses = [float(row["loss"]) for row in rows]
    if not all(map(math.isfinite, [*losses, *(float(row["magnitude"]) for row in rows)])):
        return "not finite"
    if losses[-1] > losses[0]:
        return f"loss rose from {losses[0]:.3f} to {losses[-1]:.3f}"
    return f"{rows[0]['empty_cases']} empty predictions" if int(rows[0]["empty_cases"]) else ""


def curves_file(dataset: str) -> Path:
    return OUT / f"stability_{dataset}.csv"


def read(dataset: str) -> list[dict[str, str]]:
    if not curves_file(dataset).exists():
        return []
    with curves_file(dataset).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def append(dataset: str, rows: Sequence[dict]) -> None:
    """In one write, so that runs side by side do not mix."""
    file = curves_file(dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(COLUMNS)] if not file.exists() else []
    lines += [",".join(re.sub(r"[,\n]", ";", str(row[column])) for column in COLUMNS) for row in rows]
    with file.open("a", encoding="utf-8", newline="") as stream:
        stream.write("\n".join(lines) + "\n")


def report(command: str) -> None:
    """stability.png and stability.md of all curves that are there; command: the one that was run last."""
    from matplotlib.figure import Figure

    from mednca_pipeline.runtime.files import replacing, write_text

    datasets = sorted(file.stem.removeprefix("stability_") for file in OUT.glob("stability_*.csv"))
    figure = Figure(figsize=(9, 3.2 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), 2, squeeze=False)
    table = ["| dataset | seeds | iterations | Dice | restores | collapsed |", "|---|---|---|---|---|---|"]
    for (left, right), dataset in zip(panels, datasets, strict=True):
        runs: dict[int, list[dict[str, str]]] = {}
        for row in read(dataset):
            runs.setdefault(int(row["seed"]), []).append(row)
        for rows in runs.values():
            at = [int(row["iteration"]) for row in rows]
            colour = "#c0392b" if rows[0]["problem"] else "#1f5a96"
            left.plot(at, [float(row["loss"]) for row in rows], color=colour, alpha=0.4, linewidth=0.8)
            right.plot(at, [float(row["magnitude"]) for row in rows], color=colour, alpha=0.4, linewidth=0.8)
        left.set(title=f"{dataset}: {len(runs)} seeds", xlabel="iteration", ylabel="training loss", yscale="log")
        right.set(title="largest magnitude in the state", xlabel="iteration", yscale="log")
        last = [rows[-1] for rows in runs.values()]
        dice = [float(row["final_dice"]) for row in last if row["final_dice"]]
        counts = [int(row["iterations"]) for row in last]
        failed = [f"seed {row['seed']}: {row['problem']}" for row in last if row["problem"]]
        table.append(
            f"| {dataset} | {len(runs)} | {min(counts):,} to {max(counts):,} | {min(dice):.3f} to {max(dice):.3f} | "
            f"{sum(int(row['restores']) for row in last)} | {'; '.join(failed) or 'none'} |"
        )
    with replacing(OUT / "stability.png") as temporary:
        figure.savefig(temporary, dpi=110)
    heading = f"The last command: `python -m benchmarks.recipe.stability {command}`"
    write_text(OUT / "stability.md", heading + "\n\n" + "\n".join(table) + "\n")
    print("\n".join(table))


if __name__ == "__main__":
    main()
