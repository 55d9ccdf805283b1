"""Trains a model on fold 0 for a stated time with the plan's defaults, and adds it to results/recipe/.

    python -m benchmarks.recipe.finals --root WORKSPACE -d 4 --models mednca unet_small --budget 15min
    python -m benchmarks.recipe.finals      the tables and the figure again, of what is there

--iterations N instead of --budget trains for as many, whatever else the machine does. Each training is the command
that a user types, in a workspace of its own (WORKSPACE/finals/<budget>) which shares the given one's raw data,
preprocessed cases, plan and splits. Killed, it goes on where it stopped. `final` weights, the validation cases of fold
0, measured as mednca_predict writes them: with the components that the plan keeps; one column has the means before any
was removed. --threads N computes with N threads and augments in the same process, so that two trainings fit side by
side. Writes finals.csv, finals.md and finals.png, a curve per training, and an NCA's weights. Trainings of plans
that have changed since stay in the table, below the others.
"""

import argparse
import csv
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path

from mednca_pipeline.evaluation.metrics import with_policy
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.plans.plans import describe_components
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.results.summary import Summary
from mednca_pipeline.runtime.files import replacing, write_text
from mednca_pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
OUT, PLANS = ROOT / "results" / "recipe", ROOT / "plans" / "reference"
COLUMNS = (
    "dataset,config,model,budget,plan,threads,parameters,iterations,minutes,class_dice,mean_class_dice,foreground_dice,"
    "foreground_hd95,unit,components,raw_mean_class_dice,raw_foreground_dice,raw_foreground_hd95,seconds_per_case,restores,"
    "commit,command,largest_component_dice"
).split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="workspace with the planned and preprocessed dataset")
    parser.add_argument("-d", help="dataset")
    parser.add_argument("--models", nargs="+", default=["mednca", "unet_small"])
    parser.add_argument("--budget")
    parser.add_argument("--iterations", type=int, help="instead of a budget, where the machine does other work as well")
    parser.add_argument("--threads", type=int, help="of each training, without further processes")
    arguments = parser.parse_args()
    budget = f"{arguments.iterations}it" if arguments.iterations else arguments.budget
    given = [arguments.root, arguments.d, budget]
    if not any(given):
        report()
        return
    if not all(given) or (arguments.iterations and arguments.budget):
        parser.error(
            "--root, -d and one of --budget and --iterations go together; "
            "without them the tables and the figure are made again"
        )
    root = Path(arguments.root).resolve()
    workspace = shared_workspace(root, budget)
    dataset = workspace.resolve(arguments.d)
    schedule = ["--iterations", str(arguments.iterations)] if arguments.iterations else ["--budget", budget]
    for model in arguments.models:
        folder = train(workspace, dataset, model, schedule, arguments.threads)
        add(final_of(folder, budget, workspace), folder)
    report()


def shared_workspace(root: Path, budget: str) -> Workspace:
    """A workspace for results of its own, on the same data, plans and splits."""
    made = root / "finals" / budget
    made.mkdir(parents=True, exist_ok=True)
    for name in ("raw", "preprocessed", "plans"):
        if not (made / name).exists():
            (made / name).symlink_to(root / name)
    return Workspace(made)


def train(workspace: Workspace, dataset: str, model: str, schedule: Sequence[str], threads: int | None) -> FoldFolder:
    record = ModelRecord(dataset, model, read_plans(workspace.plans_file(dataset)).default_config)
    folder = ModelFolder.of(workspace.results_folder(dataset), record).fold(0)
    if not folder.is_validated():
        command = ["mednca_train", dataset, "0", "--model", model, *schedule, "--root", str(workspace.root)]
        command += ["--threads", str(threads), "-np", "0"] if threads else []
        subprocess.run([*command, "--continue"] if folder.run() else command, check=True)
    return folder


def final_of(folder: FoldFolder, budget: str, workspace: Workspace) -> dict:
    """A row of finals.csv."""
    run, summary = folder.run(), folder.summary()
    raw, kept = summary.raw_means, summary.components or {}
    classes = class_dice(summary.mean)
    seconds = [case.seconds for case in summary.cases.values()]
    return {
        "dataset": run.dataset,
        "config": run.config,
        "model": run.model,
        "budget": budget,
        "plan": run.digest,
        "threads": run.threads,
        "parameters": run.parameters,
        "iterations": run.iterations,
        "minutes": round(run.training_minutes, 1),
        "class_dice": "; ".join(f"{name} {dice:.4f}" for name, dice in classes.items()),
        "mean_class_dice": round(statistics.mean(classes.values()), 4),
        "foreground_dice": round(summary.mean["foreground"]["dice"], 4),
        "foreground_hd95": round(summary.mean["foreground"]["hd95"], 2),
        "unit": summary.units.distance,
        "components": describe_components(kept),
        "raw_mean_class_dice": round(statistics.mean(class_dice(raw).values()), 4) if kept else "",
        "raw_foreground_dice": round(raw["foreground"]["dice"], 4) if kept else "",
        "raw_foreground_hd95": round(raw["foreground"]["hd95"], 2) if kept else "",
        "seconds_per_case": round(sum(seconds) / len(seconds), 2),
        "restores": run.restores,
        "commit": run.commit,
        "command": run.command.replace(str(workspace.root), "WORKSPACE"),
    }


def class_dice(means: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Of the classes without the merged foreground."""
    return {name: values["dice"] for name, values in means.items() if name != "foreground"}


def name_of(row: dict) -> str:
    return f"{row['dataset']}_{row['model']}_{row['config']}_{row['budget']}_{row['plan'][:8]}"


def is_present(row: dict) -> bool:
    """Whether the committed plan is the one that this training had."""
    plans = read_plans(PLANS / row["dataset"] / "plans.json")
    return plans.digest(row["config"], row["model"]) == row["plan"]


def add(row: dict, folder: FoldFolder) -> None:
    """Replaces this training's row, and keeps its curve and, of an NCA, its weights."""
    rows = {name_of(old): old for old in read()} | {name_of(row): row}
    OUT.mkdir(parents=True, exist_ok=True)
    with replacing(OUT / "finals.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))
    kept = kept_fold(row)
    kept.path.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder.curve, kept.curve)
    if row["model"].startswith("mednca"):
        shutil.copy(folder.weights, kept.weights)
    for source, target in ((folder.run_file, kept.run_file), (folder.summary_file, kept.summary_file)):
        write_text(target, source.read_text(encoding="utf-8").replace(str(folder.path.parents[3]), "WORKSPACE"))


def kept_fold(row: Mapping[str, str]) -> FoldFolder:
    return FoldFolder(OUT / "finals" / name_of(row))


def read() -> list[dict[str, str]]:
    if not (OUT / "finals.csv").exists():
        return []
    with (OUT / "finals.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def report() -> None:
    """finals.md of all rows, and finals.png of those of the present plans."""
    rows = read()
    present = [row for row in rows if is_present(row)]
    draw(present)
    write_text(
        OUT / "finals.md",
        "`python -m benchmarks.recipe.finals --root WORKSPACE -d DATASET --models MODEL --budget BUDGET`, fold 0, "
        "`final` weights. Commits before 6719c66 predicted by ten random runs that compute every cell, later ones by "
        "the expected update at the outline. Dice, HD95 and NSD are means over the validation cases, with the standard "
        "error of the mean Dice over cases, measured with the components that the plan keeps. Raw are the mean Dice of "
        "classes and the foreground's Dice and HD95 before others are removed. Each row's own command is in "
        "finals.csv.\n\n"
        + table(present)
        + "\n`mednca` less `unet_small`, case by case (± standard error):\n\n"
        + paired_table(present)
        + "\nDice on the scoring slices (until 6719c66 one random run): means over eighths of each training:\n\n"
        + curves_table(present)
        + "\nTrainings of earlier plans, other machines among them:\n\n"
        + table([row for row in rows if row not in present]),
    )


def draw(rows: Sequence[dict[str, str]]) -> None:
    """The curves of each dataset: Dice on a few validation samples over the minutes of training."""
    from matplotlib.figure import Figure

    datasets = sorted({row["dataset"] for row in rows})
    figure = Figure(figsize=(5 * len(datasets), 3.6), layout="constrained")
    for axis, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        late = []
        for row in (row for row in rows if row["dataset"] == dataset):
            with kept_fold(row).curve.open(encoding="utf-8") as stream:
                curve = [(float(at["minutes"]), float(at["mean_dice"])) for at in csv.DictReader(stream)]
            late += [dice for _, dice in curve[len(curve) // 3 :]]
            axis.plot(*zip(*curve, strict=True), label=f"{row['model']} {row['budget']}", linewidth=1)
        margin = 0.1 * (max(late) - min(late))
        axis.set(ylim=(min(late) - margin, max(late) + margin))
        axis.set(title=dataset, xlabel="minutes", ylabel="Dice of a few validation slices")
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    with replacing(OUT / "finals.png") as temporary:
        figure.savefig(temporary, dpi=110)


def table(rows: Sequence[dict[str, str]]) -> str:
    head = (
        "| dataset | budget | model | parameters | iterations | minutes (threads) | Dice of classes | mean | "
        "foreground | HD95 | NSD | keeps | raw | s per case | commit | plan |\n" + "|---" * 16 + "|\n"
    )
    cells = [
        [
            row["dataset"],
            row["budget"],
            f"{row['model']}_{row['config']}",
            f"{int(row['parameters']):,}",
            f"{int(row['iterations']):,}",
            f"{row['minutes']} ({row['threads']})",
            row["class_dice"],
            f"{float(row['mean_class_dice']):.4f}",
            f"{float(row['foreground_dice']):.4f} ± {standard_error(row):.4f}",
            f"{row['foreground_hd95']} {row['unit']}",
            f"{summary_of(row).mean['foreground']['nsd']:.4f}",
            kept_cell(row),
            raw_cell(row),
            row["seconds_per_case"],
            row["commit"],
            row["plan"][:8],
        ]
        for row in rows
    ]
    return head + "".join(f"| {' | '.join(map(str, row))} |\n" for row in cells)


def kept_cell(row: dict[str, str]) -> str:
    """Rows from before plans had components have the mean Dice of classes if the largest of each were kept."""
    measured = row["largest_component_dice"]
    return row["components"] or "all" + (f" (mean of the largest alone: {float(measured):.4f})" if measured else "")


def raw_cell(row: dict[str, str]) -> str:
    if not row["components"]:
        return ""
    dice = [f"{float(row[name]):.4f}" for name in ("raw_mean_class_dice", "raw_foreground_dice")]
    return ", ".join([*dice, f"{row['raw_foreground_hd95']} {row['unit']}"])


def paired_table(rows: Sequence[dict[str, str]]) -> str:
    """Both models on the same cases, each with its own budget."""
    lines = ["| dataset | budgets | of | difference | ahead in | correlation |", "|---" * 6 + "|"]
    for ours in (row for row in rows if row["model"] == "mednca"):
        others = [row for row in rows if row["model"] == "unet_small"]
        theirs = [row for row in others if all(row[key] == ours[key] for key in ("dataset", "config"))]
        for row, what in product(theirs, ("foreground", "mean of classes")):
            first, second = dice_of_cases(ours, what), dice_of_cases(row, what)
            if what != "foreground" and first == dice_of_cases(ours, "foreground"):
                continue  # a single class
            pairs = [(first[name], second[name]) for name in first]
            differences = [one - other for one, other in pairs]
            budgets = f"{ours['budget']}, {row['budget']}"
            lines.append(
                f"| {ours['dataset']} | {budgets} | {what} | {statistics.mean(differences):+.4f} ± "
                f"{error_of(differences):.4f} | {sum(value > 0 for value in differences)} of {len(pairs)} | "
                f"{statistics.correlation(*zip(*pairs, strict=True)):.2f} |"
            )
    return "\n".join(lines) + "\n"


def curves_table(rows: Sequence[dict[str, str]]) -> str:
    lines = ["| dataset | model | budget | Dice | training loss |", "|---" * 5 + "|"]
    for row in rows:
        with kept_fold(row).curve.open(encoding="utf-8") as stream:
            curve = list(csv.DictReader(stream))
        ends = [round(part * len(curve) / 8) for part in range(9)]
        eighths = [curve[start:end] for start, end in pairwise(ends)]
        dice, loss = (
            ", ".join(f"{statistics.mean(float(at[column]) for at in eighth):.3f}" for eighth in eighths)
            for column in ("mean_dice", "train_loss")
        )
        lines.append(f"| {row['dataset']} | {row['model']}_{row['config']} | {row['budget']} | {dice} | {loss} |")
    return "\n".join(lines) + "\n"


def dice_of_cases(row: dict[str, str], what: str) -> dict[str, float]:
    """Per validation case, of the foreground or the mean of its classes."""
    cases = summary_of(row).cases
    names = {name for case in cases.values() for name in case.classes}
    wanted = ["foreground"] if what == "foreground" else sorted(names - {"foreground"})
    return {
        name: statistics.mean(with_policy(case.classes[one])["dice"] for one in wanted) for name, case in cases.items()
    }


def summary_of(row: dict[str, str]) -> Summary:
    return kept_fold(row).summary()


def standard_error(row: dict[str, str]) -> float:
    """Of the foreground's mean Dice over the validation cases."""
    return error_of(list(dice_of_cases(row, "foreground").values()))


def error_of(values: Sequence[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5


if __name__ == "__main__":
    main()
