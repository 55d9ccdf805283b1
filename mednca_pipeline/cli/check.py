"""mednca_check: looks for everything in a dataset that would make a training fail or be wrong."""

import argparse
import sys

from .common import DONE, INPUT_FAULT, command_parser, run_command

EXAMPLES = """  mednca_check -d 4
  mednca_check -d Dataset004_Hippocampus 12      two datasets
  mednca_check -d 4 -np 0                        without worker processes"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_check",
        "Checks raw datasets for missing, extra and unreadable files, wrong geometry, label values and intensities, "
        "and identical images. The exit code is 2 if a finding is fatal.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("-d", nargs="+", required=True, metavar="DATASET", help="datasets, such as 4 or Dataset004_Hippocampus")
    add(
        "-np",
        type=int,
        metavar="N",
        help="number of worker processes (0: none; default: chosen by the size of the data)",
    )
    return run_command(parser, _check, argv)


def _check(arguments: argparse.Namespace) -> int:
    from ..workspace import open_workspace

    workspace = open_workspace(arguments.root)
    folders = [workspace.raw_folder(workspace.resolve(dataset)) for dataset in arguments.d]

    from ..datasets.check import check_dataset, default_workers  # slow from here on
    from ..datasets.dataset import load_dataset
    from ..execution.executors import open_executor
    from ..execution.progress import counting
    from .findings import print_report

    fatal = False
    for folder in folders:
        dataset = load_dataset(folder)
        workers = default_workers(dataset) if arguments.np is None else arguments.np
        counted = counting("Checking", len(dataset.training) + len(dataset.test), arguments.quiet)
        with open_executor(workers) as executor, counted as step:
            report = check_dataset(dataset, executor, step)
        print_report(dataset, report, arguments.quiet)
        fatal = fatal or bool(report.fatal)
    return INPUT_FAULT if fatal else DONE


if __name__ == "__main__":
    sys.exit(main())
