"""mednca_plan_and_preprocess: check, fingerprint, plan, split and preprocess raw datasets."""

import argparse
import sys
from typing import TYPE_CHECKING

from .common import DONE, INPUT_FAULT, add_cluster, command_parser, print_error, run_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from ..datasets.dataset import Dataset
    from ..planning.run import Planned, PlanOptions
    from ..plans.plans import ConfigPlan, Plans
    from ..workspace import Workspace

EXAMPLES = """\
  mednca_plan_and_preprocess -d 4                      everything the dataset needs before training
  mednca_plan_and_preprocess -d 4 5 --config 2d        two datasets, slices only
  mednca_plan_and_preprocess -d 4 --memory 2GB         patches and batches for a smaller machine
  mednca_plan_and_preprocess -d 4 --groups patients.csv    cases of one patient share a fold
  mednca_plan_and_preprocess -d 4 --config 2d --levels 4 2 1 --steps 12 6 4    your own levels"""

FLAG_HELP = {
    "levels": "downscale factor of each level of mednca, coarsest first: 4 2 1, or per axis 1x4x4 1x1x1",
    "steps": "number of steps of each level of mednca, coarsest first: 10 6 4",
    "spacing": "target spacing in mm (in voxels where the spacing is unknown): one value, or one per axis (z y x)",
    "patch": "patch size at the finest level, in voxels: one value, or one per axis",
    "channels": "number of state channels of mednca",
    "position": "yes or no: whether networks see where in the image a voxel lies. Choose no for models that will see "
    "scans of another field of view",
}


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
    add("--memory", help="memory that a training may take (default: 4GB, less on smaller machines)")
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
    for flag, text in FLAG_HELP.items():
        add(f"--{flag}", nargs="+", metavar="X", help=text)
    return run_command(parser, _plan_and_preprocess, argv)


def _plan_and_preprocess(arguments: argparse.Namespace) -> int:
    from ..runtime.errors import InputError
    from ..workspace import open_workspace

    workspace = open_workspace(arguments.root)
    names = dict.fromkeys(workspace.resolve(dataset) for group in arguments.d for dataset in group)
    for name in names:
        workspace.raw_folder(name)

    from ..datasets.dataset import load_dataset  # slow from here on, and what can be said at once is said
    from ..execution.executors import open_executor
    from ..execution.processes import cores

    options = _options(arguments)
    workers = min(8, cores()) if arguments.np is None else arguments.np
    datasets = [load_dataset(workspace.raw_folder(name)) for name in names]
    worked = True
    for dataset in datasets:  # what is wrong with one does not stop the others
        try:
            with open_executor(workers, arguments.cluster) as executor:  # one whose workers were killed serves no other
                worked &= _one_dataset(workspace, dataset, options, executor, arguments.quiet)
        except InputError as error:
            print_error(error, str(error), arguments.debug)
            worked = False
    return DONE if worked else INPUT_FAULT


def _options(arguments: argparse.Namespace) -> "PlanOptions":
    from pathlib import Path

    from ..planning.run import PlanOptions
    from ..runtime.memory import parse_memory

    flags = {flag: " ".join(values) for flag in FLAG_HELP if (values := getattr(arguments, flag)) is not None}
    return PlanOptions(
        memory_bytes=parse_memory(arguments.memory) if arguments.memory else None,
        flags=flags,
        configs=tuple(arguments.config),
        n_folds=arguments.folds,
        groups=Path(arguments.groups) if arguments.groups else None,
        force=arguments.force,
    )


def _one_dataset(
    workspace: "Workspace", dataset: "Dataset", options: "PlanOptions", executor: "Executor | None", quiet: bool
) -> bool:
    """Whether the dataset could be planned: its check found nothing fatal."""
    from ..execution.progress import counting
    from ..planning.run import plan_dataset
    from ..preprocessing.run import Target, preprocess_dataset
    from .findings import print_report

    with counting(f"Reading {dataset.name}", len(dataset.training) + len(dataset.test), quiet) as step:
        planned = plan_dataset(workspace, dataset, options, executor, step)
    if planned.report is not None:
        print_report(dataset, planned.report, quiet)
    plans = planned.plans
    if plans is None:
        return False
    if not quiet:
        _print_plans(workspace, plans, planned)
    for config in planned.configs:
        folder = workspace.preprocessed_folder(dataset.name, config)
        with counting(f"Preprocessing {config}", len(dataset.training), quiet) as step:
            target = Target.planned(plans, config, folder)
            done = preprocess_dataset(dataset, target, executor, progress=step, force=options.force)
        if not quiet:
            print(f"Preprocessed {config}: {len(done.written)} cases, {len(done.skipped)} were finished; in {folder}")
    return True


def _print_plans(workspace: "Workspace", plans: "Plans", planned: "Planned") -> None:
    from rich.table import Table

    from .findings import plain, wide_console

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
    console.print(table)
    sizes = ", ".join(str(len(fold.val)) for fold in planned.folds)
    notes = [
        *planned.notes,
        f"{len(planned.folds)} folds with {sizes} validation cases: {workspace.splits_file(plans.dataset)}",
        *_expected_minutes([plans.config(name) for name in planned.configs]),
    ]
    for note in notes:
        console.print(plain(note))


def _expected_minutes(configs: "Sequence[ConfigPlan]") -> list[str]:
    """The schedule is a time, so it is what training takes on any machine; slower ones do fewer iterations in it."""
    from ..device import choose_device
    from ..models.registry import MODELS

    device = choose_device().type
    place = f"on this machine's {device.upper()}"
    schedule = "cuda" if device == "cuda" else "cpu"  # MPS trains by the CPU's
    lines = []
    for config in configs:
        minutes = ", ".join(f"{model} {config.model(model).training.minutes[schedule]:g}" for model in MODELS)
        lines.append(f"Expected minutes per fold {place}, configuration {config.name}: {minutes}.")
    return [
        *lines,
        "That is the plan's schedule: training fits its iterations to this time, and validation comes on top; --budget "
        "of mednca_train sets another.",
    ]


if __name__ == "__main__":
    sys.exit(main())
