"""mednca_plan_and_preprocess: check, fingerprint, plan, split and preprocess raw datasets."""

import argparse
import sys
from typing import TYPE_CHECKING

from .common import DONE, INPUT_FAULT, add_cluster, command_parser, run_command

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..planning.run import Planned, PlanOptions

EXAMPLES = """\
  mednca_plan_and_preprocess -d 4                      everything the dataset needs before training
  mednca_plan_and_preprocess -d 4 5 --config 2d        two datasets, slices only
  mednca_plan_and_preprocess -d 4 --memory 2GB         patches and batches for a smaller machine
  mednca_plan_and_preprocess -d 4 --groups patients.csv    cases of one patient share a fold
  mednca_plan_and_preprocess -d 4 --config 2d --levels 4 2 1 --steps 12 6 4    your own levels"""

FLAG_HELP = {
    "levels": "downscale factors of mednca's levels, coarsest first, such as 4 2 1, or per axis 1x4x4 1x1x1",
    "steps": "steps of each level, coarsest first, such as 10 6 4",
    "spacing": "target spacing in mm: one value, or one per axis (z y x)",
    "patch": "what training sees of the finest level, in voxels: one value, or one per axis",
    "channels": "state channels of mednca",
    "position": "yes or no: networks see where in the image a voxel lies (no: for scans that are framed otherwise)",
}


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_plan_and_preprocess",
        "Checks raw datasets, measures them, decides how to train on them and says why, makes the folds, and "
        "preprocesses the cases. What is finished already is not done again.",
        EXAMPLES,
    )
    parser.add_argument(
        "-d", nargs="+", action="append", required=True, metavar="DATASET", help="such as 4 or Dataset004_Hippocampus"
    )
    parser.add_argument("--memory", help="of a training process, such as 4GB (default: 4GB, less on smaller machines)")
    parser.add_argument("-np", type=int, metavar="N", help="worker processes (0: none; default: one per processor)")
    add_cluster(parser)
    parser.add_argument("--config", nargs="+", choices=("2d", "3d"), default=[], help="configurations (default: all)")
    parser.add_argument("--folds", type=int, metavar="K", help="number of folds (default: 5)")
    parser.add_argument("--groups", metavar="FILE", help="CSV or JSON of cases and their patients, who share a fold")
    parser.add_argument("--force", action="store_true", help="do everything again and forget earlier choices")
    for flag, text in FLAG_HELP.items():
        parser.add_argument(f"--{flag}", nargs="+", metavar="X", help=text)
    return run_command(parser, _plan_and_preprocess, argv)


def _plan_and_preprocess(arguments: argparse.Namespace) -> int:
    from ..datasets.dataset import load_dataset
    from ..execution.executors import open_executor
    from ..execution.processes import cores
    from ..runtime.errors import InputError
    from ..workspace import open_workspace

    if arguments.np is not None and arguments.np < 0:
        raise InputError(f"-np: expected 0 or more worker processes, found {arguments.np}.")
    options = _options(arguments)
    workers = min(8, cores()) if arguments.np is None else arguments.np
    workspace = open_workspace(arguments.root)
    names = dict.fromkeys(workspace.resolve(dataset) for group in arguments.d for dataset in group)
    datasets = [load_dataset(workspace.raw_folder(name)) for name in names]
    worked, faults = True, []
    for dataset in datasets:  # what is wrong with one does not stop the others
        try:
            with open_executor(workers, arguments.cluster) as executor:  # one whose workers were killed serves no other
                worked &= _one_dataset(workspace, dataset, options, executor, arguments.quiet)
        except InputError as error:
            faults.append(error)
    if faults:
        raise InputError("\n".join(map(str, faults))) from faults[0]
    return DONE if worked else INPUT_FAULT


def _options(arguments: argparse.Namespace) -> "PlanOptions":
    from pathlib import Path

    from ..planning.memory import parse_memory
    from ..planning.run import PlanOptions

    flags = {flag: " ".join(values) for flag in FLAG_HELP if (values := getattr(arguments, flag)) is not None}
    return PlanOptions(
        memory_bytes=parse_memory(arguments.memory) if arguments.memory else None,
        flags=flags,
        configs=tuple(arguments.config),
        n_folds=arguments.folds,
        groups=Path(arguments.groups) if arguments.groups else None,
        force=arguments.force,
    )


def _one_dataset(workspace, dataset, options: "PlanOptions", executor: "Executor | None", quiet: bool) -> bool:
    """Whether the dataset could be planned: its check found nothing fatal."""
    from ..execution.progress import progress_bar
    from ..planning.run import plan_dataset
    from ..preprocessing.run import Target, preprocess_dataset
    from .findings import print_report

    with progress_bar(quiet) as bar:
        task = bar.add_task(f"Reading {dataset.name}", total=len(dataset.training) + len(dataset.test))
        planned = plan_dataset(workspace, dataset, options, executor, lambda name: bar.advance(task))
    if planned.report is not None:
        print_report(dataset, planned.report, quiet)
    if planned.plans is None:
        return False
    if not quiet:
        _print_plans(workspace, planned)
    for config in planned.configs:
        folder = workspace.preprocessed_folder(dataset.name, config)
        with progress_bar(quiet) as bar:
            task = bar.add_task(f"Preprocessing {config}", total=len(dataset.training))
            done = preprocess_dataset(
                dataset,
                Target.planned(planned.plans, config, folder),
                executor,
                progress=lambda name, bar=bar, task=task: bar.advance(task),
                force=options.force,
            )
        if not quiet:
            print(f"Preprocessed {config}: {len(done.written)} cases, {len(done.skipped)} were finished; in {folder}")
    return True


def _print_plans(workspace, planned: "Planned") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    plans = planned.plans
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = Table(title=Text(f"Plans of {plans.dataset}"))
    for header, ratio in (("config", None), ("decision", None), ("value", 2), ("because", 4)):
        table.add_column(header, ratio=ratio, overflow="fold")
    previous = ""
    for decision in plans.decisions:
        if decision.config != previous:
            table.add_section()
        value = f"{decision.value} (yours)" if decision.by_user else decision.value
        cells = (decision.config if decision.config != previous else "", decision.name, value, decision.because)
        table.add_row(*(Text(cell) for cell in cells))
        previous = decision.config
    console.print(table)
    sizes = ", ".join(str(len(fold.val)) for fold in planned.folds)
    notes = [
        *planned.notes,
        f"{len(planned.folds)} folds with {sizes} validation cases: {workspace.splits_file(plans.dataset)}",
        *_expected_minutes(planned),
    ]
    for note in notes:
        console.print(Text(note))


def _expected_minutes(planned: "Planned") -> list[str]:
    """The schedule is a time, so it is what training takes on any machine; slower ones do fewer iterations in it."""
    from ..device import choose_device
    from ..models.registry import MODELS

    device = choose_device().type
    schedule = "cuda" if device == "cuda" else "cpu"  # MPS trains by the CPU's
    lines = []
    for name in planned.configs:
        config = planned.plans.config(name)
        minutes = ", ".join(f"{model} {config.model(model).training.minutes[schedule]:g}" for model in MODELS)
        lines.append(f"Expected minutes per fold on this machine's {device.upper()}, configuration {name}: {minutes}.")
    return [
        *lines,
        "That is the plan's schedule: training fits its iterations to this time, and validation comes on top; --budget "
        "of mednca_train sets another.",
    ]


if __name__ == "__main__":
    sys.exit(main())
