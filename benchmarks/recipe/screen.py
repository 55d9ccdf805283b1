"""Trains variants of the plan inside fold 0's training cases, and appends a row for each to runs.csv.

    python -m benchmarks.recipe.screen --root WORKSPACE -d 4 --variants plan batch4 --budget 3min --seeds 0 1 2

A fixed fifth of fold 0's training cases is held out and measured as a fold is: from the raw files, in their own
geometry, `final` weights, as mednca_predict does by default. Fold 0's own validation cases are never read. A variant is
a dictionary of changes to the plan (variants.py). One thread per run by default, so that two runs fit side by side on
two cores. --iterations instead of --budget compares variants on a machine that does other work as well.
With --robust N, N of the held-out cases are also predicted under artefacts (robustness.py).
"""

import argparse
import csv
import json
import logging
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mednca_pipeline.execution.libraries import wait_briefly

RUNS = Path(__file__).parent / "runs.csv"
COLUMNS = (
    "commit,plan,dataset,config,model,variant,changes,budget,seed,threads,iterations,minutes,parameters,"
    "mean_class_dice,foreground_dice,class_dice,foreground_hd95,restores,"
    "robust_cases,clean_dice,robust_dice,artefact_dice,"  # empty without --robust, and in rows older than these columns
    "seconds_per_case"  # to predict a held-out case with its quality score, reading and writing included
).split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="workspace with the planned and preprocessed dataset")
    parser.add_argument("-d", required=True, help="dataset")
    parser.add_argument("--model", default="mednca")
    parser.add_argument("--config", help="2d or 3d (default: the plan's)")
    parser.add_argument("--variants", nargs="+", default=["plan"], help="names in variants.py")
    parser.add_argument("--budget", default="3min")
    parser.add_argument("--iterations", type=int, help="instead of a budget")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--robust", type=int, default=0, metavar="N", help="held-out cases to predict under artefacts")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each trained model there (outline.py)")
    arguments = parser.parse_args()
    wait_briefly()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for seed in arguments.seeds:
        for variant in arguments.variants:
            append(screen(arguments, variant, seed))


def screen(arguments: argparse.Namespace, variant: str, seed: int) -> dict[str, Any]:
    """One run, as a row of runs.csv."""
    from mednca_pipeline.evaluation.provenance import commit
    from mednca_pipeline.training.fold import train_fold
    from mednca_pipeline.training.options import TrainingOptions
    from mednca_pipeline.training.schedule import parse_budget
    from mednca_pipeline.workspace import Workspace

    from .variants import VARIANTS

    changes = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as scratch:
        dataset, config = prepare(Path(arguments.root).resolve(), Path(scratch), arguments, changes)
        options = TrainingOptions(
            dataset=dataset,
            fold=0,
            model=arguments.model,
            config=config,
            budget_s=None if arguments.iterations else parse_budget(arguments.budget),
            iterations=arguments.iterations,
            device="cpu",
            seed=seed,
            workers=0,
            threads=arguments.threads,
        )
        folder = train_fold(Workspace(Path(scratch)), options)
        run, summary = folder.run(), folder.summary()
        mean, seconds = summary.mean, [case.seconds for case in summary.cases.values()]
        robust = robustness_of(folder, Workspace(Path(scratch)), dataset, arguments.robust) if arguments.robust else {}
        if arguments.keep:
            name = f"{dataset}_{arguments.model}_{variant}_seed{seed}"
            kept = folder.path.parent
            shutil.copytree(kept, arguments.keep / name / kept.name, dirs_exist_ok=True)
    classes = {name: round(values["dice"], 4) for name, values in mean.items() if name != "foreground"}
    return {
        "commit": commit(),
        "plan": run.digest,
        "dataset": dataset,
        "config": config,
        "model": arguments.model,
        "variant": variant,
        "changes": json.dumps(changes, sort_keys=True),
        "budget": "" if arguments.iterations else arguments.budget,
        "seed": seed,
        "threads": arguments.threads,
        "iterations": run.iterations,
        "minutes": round(run.training_minutes, 2),
        "parameters": run.parameters,
        "mean_class_dice": round(sum(classes.values()) / len(classes), 4),
        "foreground_dice": round(mean["foreground"]["dice"], 4),
        "class_dice": json.dumps(classes),
        "foreground_hd95": round(mean["foreground"]["hd95"], 3),
        "restores": run.restores,
        "seconds_per_case": round(sum(seconds) / len(seconds), 3),
        **robust,
    }


def robustness_of(folder: Any, workspace: Any, dataset: str, count: int) -> dict[str, Any]:
    """The columns of --robust, of `count` of the held-out cases; each artefact's Dice is the mean of its severities."""
    from mednca_pipeline.datasets.dataset import load_dataset
    from mednca_pipeline.inference.options import PredictionOptions
    from mednca_pipeline.inference.predictor import Predictor

    from .robustness import measure, spread

    raw = {case.name: case for case in load_dataset(workspace.raw_folder(dataset)).training}
    names = list(folder.summary().cases)
    predictor = Predictor.from_folder(folder.path.parent, [0], PredictionOptions(quality=False, postprocess=False))
    found = measure(predictor, [raw[name] for name in spread(names, count)])
    artefacts = {name: round(sum(row.values()) / len(row), 4) for name, row in found.artefacts.items()}
    return {
        "robust_cases": found.cases,
        "clean_dice": round(found.clean, 4),
        "robust_dice": round(found.robust, 4),
        "artefact_dice": json.dumps(artefacts),
    }


def prepare(
    root: Path,
    scratch: Path,
    arguments: argparse.Namespace,
    changes: dict[str, Any],
    held_out: int | None = None,
) -> tuple[str, str]:
    """A scratch workspace on the same data, whose only fold lies inside fold 0's training cases; with changed plans.

    held_out: of the held-out cases, how many are predicted; None: all.
    """
    from mednca_pipeline.models.registry import read_plans
    from mednca_pipeline.planning.folds import make_folds
    from mednca_pipeline.plans.plans import write_plans
    from mednca_pipeline.plans.splits import groups_in, read_splits, write_splits
    from mednca_pipeline.preprocessing.store import CaseStore
    from mednca_pipeline.workspace import Workspace

    given, made = Workspace(root), Workspace(scratch)
    dataset = given.resolve(arguments.d)
    for name in ("raw", "preprocessed"):
        (scratch / name).symlink_to(root / name)
    plans = read_plans(given.plans_file(dataset))
    config = plans.config(arguments.config)
    cases = CaseStore(given.preprocessed_folder(dataset, config.name)).cases()
    splits, groups = given.splits_file(dataset), groups_in(given.splits_file(dataset))
    training = read_splits(splits, cases)[0].train
    inside = [[case for case in group if case in training] for group in groups]
    fold = make_folds(training, 5, [group for group in inside if group])[0]
    write_splits(made.splits_file(dataset), [replace(fold, val=fold.val[:held_out])])
    model = changed(config.model(arguments.model), suited(changes, plans.channel_names, config.dim))
    factor = model.levels[0].factor if hasattr(model, "levels") else (1,) * config.dim
    size = tuple(math.ceil(side / step) * step for side, step in zip(config.image_size, factor, strict=True))
    configs = {**plans.configs, config.name: replace(config, image_size=size).with_model(arguments.model, model)}
    write_plans(made.plans_file(dataset), replace(plans, configs=configs))
    return dataset, config.name


def suited(changes: dict[str, Any], channel_names: Sequence[str], dim: int) -> dict[str, Any]:
    """`changes`, in which BY_MODALITY stands for what the planner has for images of these channels."""
    from mednca_pipeline.planning.augmentation import artefact_kinds, mirror_axes

    from .variants import BY_MODALITY

    own = {
        "training.artefact_kinds": artefact_kinds(channel_names).value,
        "training.mirror_axes": mirror_axes(channel_names, dim).value,
    }
    return {path: own[path] if value == BY_MODALITY else value for path, value in changes.items()}


def changed(plan: Any, changes: dict[str, Any]) -> Any:
    """`plan` with the fields named by paths, such as "training.batch_size"; "levels" is [[factor, steps, patch], ...]
    with one number per axis or for all axes, coarsest first."""
    from mednca_pipeline.plans.model_plans import LevelPlan

    dim = len(plan.levels[0].factor) if hasattr(plan, "levels") else 0
    for path, value in changes.items():
        if path == "levels":
            levels = [(_axes(factor, dim), steps, patch and _axes(patch, dim)) for factor, steps, patch in value]
            value = tuple(LevelPlan(*level) for level in levels)
        elif isinstance(value, list):
            value = tuple(value)
        first, _, rest = path.partition(".")
        plan = replace(plan, **{first: changed(getattr(plan, first), {rest: value}) if rest else value})
    return plan


def _axes(value: Any, dim: int) -> tuple[int, ...]:
    return (value,) * dim if isinstance(value, int) else tuple(value)


def append(row: dict[str, Any]) -> None:
    new = not RUNS.exists()
    with RUNS.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    logging.info("%s", row)


if __name__ == "__main__":
    main()
