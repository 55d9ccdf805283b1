"""mednca_plan_and_preprocess: check, fingerprint, plan, split and preprocess raw datasets."""

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..execution.terminal import say, shown, wide_console
from .common import DONE, INPUT_FAULT, add_cluster, check_there, command_parser, print_error, run_command
from .findings import NARROW
from .fitting import print_table
from .plan_summary import next_lines, print_summary, start_config, summary_lines

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..datasets.dataset import Dataset
    from ..planning.run import Planned, PlanOptions
    from ..plans.plans import Plans
    from ..training.expected import Expected
    from ..workspace import Workspace

EXAMPLES = """\
  mednca_plan_and_preprocess -d 4                      everything the dataset needs before training
  mednca_plan_and_preprocess -d 4 --explain            also every decision with its reason
  mednca_plan_and_preprocess -d 4 5 --config 2d        two datasets, slices only
  mednca_plan_and_preprocess -d 4 --memory 2GB         patches and batches for a smaller machine
  mednca_plan_and_preprocess -d 4 --groups patients.csv    cases of one patient share a fold
  mednca_plan_and_preprocess -d 4 --config 2d --levels 4 2 1 --steps 12 6 4    your own levels"""

FLAG_HELP = {
    "levels": ("FACTOR", "downscale factor of each level of mednca, coarsest first: 4 2 1, or per axis 1x4x4 1x1x1"),
    "steps": ("COUNT", "number of steps of each level of mednca, coarsest first: 10 6 4"),
    "spacing": (
        "MM",
        "target spacing in mm (in pixels where it is unknown): 0.8, or one per axis: 1.5 0.8 0.8",
    ),
    "patch": ("SIZE", "patch size at the finest level, in pixels or voxels: 64 for all axes, or one per axis: 24 24"),
    "channels": ("COUNT", "number of state channels of mednca: 16"),
    "position": (
        "yes|no",
        "whether networks see where in the image a pixel or voxel lies; no for models that will see scans of another "
        "field of view",
    ),
}


@dataclass(frozen=True)
class Shows:
    """What is printed of a dataset."""

    quiet: bool
    explain: bool


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_plan_and_preprocess",
        "Checks raw datasets, plans the training and gives the reason of each decision, makes the folds, and "
        "preprocesses the cases. Finished work is not repeated.",
        EXAMPLES,
    )
    add = parser.add_argument
    add(
        "-d",
        nargs="+",
        action="append",
        required=True,
        metavar="DATASET",
        help="datasets, such as 4 or Dataset004_Hippocampus",
    )
    add("--memory", metavar="SIZE", help="memory that a training may take (default: 4GB, less on smaller machines)")
    add("-np", type=int, metavar="N", help="number of worker processes (0: none; default: one per core, at most 8)")
    add_cluster(parser)
    add(
        "--config",
        nargs="+",
        choices=("2d", "3d"),
        default=[],
        help="configurations that are preprocessed (default: all)",
    )
    add("--folds", type=int, metavar="K", help="number of folds (default: 5)")
    add(
        "--groups",
        metavar="FILE",
        help="CSV or JSON file that names the patient of each case; the cases of a patient share a fold",
    )
    add("--force", action="store_true", help="repeat everything and forget earlier choices")
    add("--explain", action="store_true", help="print every decision with its reason")
    for flag, (metavar, text) in FLAG_HELP.items():
        several = None if flag in ("channels", "position") else "+"
        add(f"--{flag}", nargs=several, metavar=metavar, help=text)
    return run_command(parser, _plan_and_preprocess, argv)


def _plan_and_preprocess(arguments: argparse.Namespace) -> int:
    from ..runtime.errors import InputError
    from ..workspace import open_workspace

    workspace = open_workspace(arguments.root)
    names = dict.fromkeys(workspace.resolve(dataset) for group in arguments.d for dataset in group)
    for name in names:
        workspace.raw_folder(name)
    options = _options(arguments)

    from ..datasets.dataset import load_dataset  # slow from here on, and what can be said at once is said
    from ..execution.executors import open_executor
    from ..execution.processes import cores

    workers = min(8, cores()) if arguments.np is None else arguments.np
    datasets = [load_dataset(workspace.raw_folder(name)) for name in names]
    worked, shows = True, Shows(arguments.quiet, arguments.explain)
    for dataset in datasets:  # what is wrong with one does not stop the others
        try:
            with open_executor(workers, arguments.cluster) as executor:  # one whose workers were killed serves no other
                worked &= _one_dataset(workspace, dataset, options, executor, shows)
        except InputError as error:
            print_error(error, str(error), arguments.debug)
            worked = False
    return DONE if worked else INPUT_FAULT


def _options(arguments: argparse.Namespace) -> "PlanOptions":
    from pathlib import Path

    from ..execution.executors import check_workers
    from ..planning.overrides import check_flags
    from ..planning.run import PlanOptions
    from ..runtime.errors import InputError
    from ..runtime.memory import parse_memory

    if arguments.folds is not None and arguments.folds < 2:
        raise InputError("--folds", "at least 2", str(arguments.folds))
    if arguments.np is not None:
        check_workers(arguments.np)
    if arguments.groups:
        check_there("--groups", Path(arguments.groups), "a CSV or JSON file")
    given = {flag: values for flag in FLAG_HELP if (values := getattr(arguments, flag)) is not None}
    flags = {flag: values if isinstance(values, str) else " ".join(values) for flag, values in given.items()}
    check_flags(flags, arguments.config)
    return PlanOptions(
        memory_bytes=parse_memory(arguments.memory) if arguments.memory else None,
        flags=flags,
        configs=tuple(arguments.config),
        n_folds=arguments.folds,
        groups=Path(arguments.groups) if arguments.groups else None,
        force=arguments.force,
    )


def _one_dataset(
    workspace: "Workspace", dataset: "Dataset", options: "PlanOptions", executor: "Executor | None", shows: "Shows"
) -> bool:
    """Whether the dataset could be planned: its check found nothing fatal."""
    from ..execution.progress import counting
    from ..planning.run import plan_dataset
    from ..preprocessing.run import Target, preprocess_dataset
    from ..runtime.listing import counted
    from .findings import print_report

    with counting(f"Reading {dataset.name}", len(dataset.training) + len(dataset.test), shows.quiet) as step:
        planned = plan_dataset(workspace, dataset, options, executor, step)
    if planned.report is not None:
        print_report(dataset, planned.report, shows.quiet, brief=True)
    if planned.plans is None:
        return False
    if shows.explain and not shows.quiet:
        _print_decisions(planned.plans)
    stored = []
    for config in planned.configs:
        folder = workspace.preprocessed_folder(dataset.name, config)
        with counting(f"Preprocessing {config}", len(dataset.training), shows.quiet) as step:
            target = Target.planned(planned.plans, config, folder)
            done = preprocess_dataset(dataset, target, executor, progress=step, force=options.force)
        stored.append(f"{config} {counted(len(done.written), 'case')}, {len(done.skipped)} were finished")
    if not shows.quiet:
        files = workspace.splits_file(dataset.name), workspace.explained_file(dataset.name)
        where = shown(workspace.preprocessed_folder(dataset.name, ""))
        print_summary(summary_lines(dataset, planned, files, f"{'; '.join(stored)}: {where}"))
        print_summary(next_lines(dataset.name, planned, _times(workspace, planned)))
    return True


def _times(workspace: "Workspace", planned: "Planned") -> "list[Expected]":
    """How long each model that a cross-validation compares takes here, the one to start with first."""
    from ..models.registry import COMPARED

    say("Loading torch...", sys.stderr)
    from ..training.expected import expected
    from ..training.printer import EpochPrinter

    assert planned.plans is not None
    times = []
    for model in COMPARED:
        say(f"{model}:", sys.stderr)
        with EpochPrinter(quiet=False) as printer:
            times.append(expected(workspace, planned.plans.dataset, model, start_config(planned), printer))
    return times


def _print_decisions(plans: "Plans") -> None:
    from rich.table import Table

    from .findings import plain

    console = wide_console()
    table = Table(title=plain(f"Plans of {plans.dataset}"))
    for header, ratio in (("config", None), ("decision", None), ("value", 2), ("because", 4)):
        table.add_column(header, ratio=ratio, overflow="fold")
    previous = ""
    for decision in plans.decisions:
        if decision.config != previous:
            table.add_section()
        value = f"{decision.value} (yours)" if decision.by_user else decision.value
        cells = (decision.config if decision.config != previous else "", decision.name, value, decision.because)
        table.add_row(*(plain(cell) for cell in cells))
        previous = decision.config
    print_table(console, table, NARROW)


if __name__ == "__main__":
    sys.exit(main())
