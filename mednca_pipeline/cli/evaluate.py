"""mednca_evaluate: measures a folder of predictions against a folder of labels."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .common import DONE, INPUT_FAULT, add_cluster, check_own_json, check_there, command_parser, run_command, say

if TYPE_CHECKING:
    from ..results.summary import Summary
    from ..runtime.labels import Labels

EXAMPLES = """\
  mednca_evaluate -p out -l raw/Dataset004_Hippocampus/labelsTs -d 4    the classes of dataset 4
  mednca_evaluate -p out -l labels                                      the classes of a dataset.json beside labels,
                                                                        else the values found in the files
  mednca_evaluate -p out -l labels -o summary.json -np 4                another output file, 4 processes
  mednca_evaluate -p out -l labels --tolerance 2                        NSD at 2 mm"""
_NAMED = 10  # how many cases without a partner are printed


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_evaluate",
        "Compares every prediction with the label file of the same name, in the geometry of the files, and writes "
        "Dice, HD95, NSD and volumes to summary.json. The entry policy of that file says how empty masks count in the "
        "means; mean_nnunet leaves out what is undefined, as nnU-Net does. Predictions of some of the label files are "
        "enough.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("-p", required=True, metavar="PREDICTIONS", help="folder of predicted label files")
    add("-l", required=True, metavar="LABELS", help="folder of reference label files")
    add("-d", metavar="DATASET", help="dataset that names the classes, such as 4")
    add("-o", metavar="FILE", help="output file (default: summary.json in PREDICTIONS)")
    add("-np", type=int, default=0, metavar="N", help="number of worker processes (default: 0)")
    add_cluster(parser)
    add(
        "--tolerance",
        type=float,
        metavar="DISTANCE",
        help="distance up to which NSD counts an outline as right, in mm, or in voxels if the spacing is unknown "
        "(default: 1 mm or 2 voxels)",
    )
    return run_command(parser, _evaluate, argv)


def _evaluate(arguments: argparse.Namespace) -> int:
    predictions, references = (Path(text).expanduser().absolute() for text in (arguments.p, arguments.l))
    check_there("-p", predictions, "a folder of predicted label files")
    check_there("-l", references, "a folder of reference label files")
    file = Path(arguments.o).expanduser() if arguments.o else predictions / "summary.json"
    check_own_json("-o", file, {"cases", "policy"})

    from ..evaluation.metrics import Units  # slow from here on, and what can be said at once is said
    from ..evaluation.summary import evaluate_folder
    from ..execution.executors import open_executor
    from ..execution.progress import progress_bar
    from ..results.summary import write_summary

    labels, spacing_known = _labels(arguments, predictions, references)
    units = Units(spacing_known, arguments.tolerance)
    with progress_bar(arguments.quiet) as bar, open_executor(arguments.np, arguments.cluster) as executor:
        task = bar.add_task("Evaluating", total=None)
        summary = evaluate_folder(
            predictions,
            references,
            labels,
            units,
            executor,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    write_summary(file, summary)
    return _conclude(summary, file, arguments.quiet)


def _labels(arguments: argparse.Namespace, predictions: Path, references: Path) -> tuple["Labels", bool]:
    """The labels, and whether distances are in mm: of -d, of a dataset.json beside the labels, or as found."""
    from ..evaluation.summary import found_labels, have_spacing
    from ..runtime.files import read_json
    from ..runtime.labels import Labels

    if arguments.d:
        from ..datasets.dataset import load_dataset
        from ..workspace import open_workspace

        workspace = open_workspace(arguments.root)
        dataset = load_dataset(workspace.raw_folder(workspace.resolve(arguments.d)))
        return dataset.labels, dataset.spacing_known
    for folder in (references, references.resolve().parent):
        if (folder / "dataset.json").is_file():
            described = read_json(file := folder / "dataset.json")
            labels = Labels.from_dataset_json(described.get("labels"), described.get("regions_class_order"), file)
            return labels, bool(described.get("spacing_known", have_spacing(references)))
    if not arguments.quiet:
        print("note: no -d and no dataset.json beside the labels: classes are the values found in the files")
    return found_labels(references, predictions), have_spacing(references)


def _labels_of(file: Path, spacing_known: bool) -> tuple["Labels", bool]:
    from ..runtime.errors import InputError
    from ..runtime.files import read_json
    from ..runtime.labels import Labels

    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(file, "an object with labels", f"{content!r:.80}")
    labels = Labels.from_dataset_json(content.get("labels"), content.get("regions_class_order"), file)
    return labels, bool(content.get("spacing_known", spacing_known))


def _conclude(summary: "Summary", file: Path, quiet: bool) -> int:
    from rich.console import Console

    from ..runtime.listing import listed
    from .tables import summary_table

    if not quiet:
        Console().print(summary_table(summary))
        say(f"Written: {file}")
        if found := summary.missing:
            done = len(summary.cases) + len(summary.failed or {})
            of = f"{done} of {done + len(found)} label files have a prediction"
            say(f"note: {of}; without one: {listed(found, _NAMED)}")
        if found := summary.unmatched:
            say(f"note: predictions without a label file: {len(found)} ({listed(found, _NAMED)})")
    for case, reason in (summary.failed or {}).items():
        say(f"failed: {case}: {reason}", sys.stderr)
    return INPUT_FAULT if summary.failed else DONE


if __name__ == "__main__":
    sys.exit(main())
