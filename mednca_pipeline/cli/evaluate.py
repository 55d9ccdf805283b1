"""mednca_evaluate: measures a folder of predictions against a folder of labels."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..execution.terminal import say, shown
from .common import (
    DONE,
    INPUT_FAULT,
    add_cluster,
    check_own_json,
    check_own_table,
    check_there,
    command_parser,
    run_command,
)

if TYPE_CHECKING:
    from ..results.summary import Summary
    from ..runtime.labels import Labels

EXAMPLES = """\
  mednca_evaluate -p out -l raw/Dataset004_Hippocampus/labelsTs -d 4    the classes of dataset 4
  mednca_evaluate -p out -l labels                                      the classes of a dataset.json beside labels
  mednca_evaluate -p out -l labels -o summary.json -np 4                another output file, 4 processes
  mednca_evaluate -p out -l labels --tolerance 2                        NSD at 2 mm"""
_NAMED = 10  # how many cases without a partner are printed


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_evaluate",
        "Compares every prediction with the label file of the same name, in the geometry of the files, and writes "
        "Dice, HD95, NSD and volumes to summary.json and, the lowest Dice first, to cases.csv. The folder worst has "
        "pictures of the five worst cases. The entry policy of summary.json says how empty masks count in the means; "
        "mean_nnunet leaves out what is undefined, as nnU-Net does. Predictions of some of the label files are enough.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("-p", required=True, metavar="PREDICTIONS", help="folder of predicted label files")
    add("-l", required=True, metavar="LABELS", help="folder of reference label files")
    add(
        "-i", metavar="IMAGES", help="folder of the images, on which the worst cases are drawn (default: beside LABELS)"
    )
    add("-d", metavar="DATASET", help="dataset that names the classes, such as 4")
    add(
        "-o",
        metavar="FILE",
        help="output file (default: summary.json in PREDICTIONS); with another name, this name is also put before "
        "cases.csv and worst",
    )
    add("--overwrite", action="store_true", help="replace an output file even if it has cases that are not here")
    add("-np", type=int, default=0, metavar="N", help="number of worker processes (default: 0)")
    add_cluster(parser)
    add(
        "--tolerance",
        type=float,
        metavar="DISTANCE",
        help="distance up to which NSD counts an outline as right, in mm, or in pixels or voxels if the spacing is "
        "unknown (default: 1 mm, or 2 pixels or voxels)",
    )
    return run_command(parser, _evaluate, argv)


def _evaluate(arguments: argparse.Namespace) -> int:
    predictions, references = (Path(text).expanduser().absolute() for text in (arguments.p, arguments.l))
    check_there("-p", predictions, "a folder of predicted label files")
    check_there("-l", references, "a folder of reference label files")
    file = Path(arguments.o).expanduser().absolute() if arguments.o else predictions / "summary.json"
    check_own_json("-o", file, {"cases", "policy"})
    check_own_table(_beside(file, "cases.csv"))

    if not arguments.quiet:
        say(f"Comparing {shown(predictions)} with {shown(references)}. Loading the libraries takes some seconds.")
    import torch  # noqa: F401  -- the metrics need it; where it is absent, one error says so instead of one per case

    from ..evaluation.metrics import Units  # slow from here on, and what can be said at once is said
    from ..evaluation.summary import evaluate_folder, paired_files
    from ..execution.executors import open_executor
    from ..execution.progress import counting_up
    from ..results.summary import write_summary

    if file.is_file() and not arguments.overwrite:
        _check_nothing_is_lost(file, paired_files(predictions, references))
    labels, spacing_known = _labels(arguments, predictions, references)
    units = Units(spacing_known, arguments.tolerance)
    counted = counting_up("Evaluating", arguments.quiet)
    with counted as update, open_executor(arguments.np, arguments.cluster) as executor:
        summary = evaluate_folder(predictions, references, labels, units, executor, update)
    if not summary.cases:
        return _conclude(summary, file, None, arguments.quiet)
    write_summary(file, summary)
    images = Path(arguments.i).expanduser().absolute() if arguments.i else None
    drawn = _write_cases(summary, file, (predictions, references, images), labels)
    return _conclude(summary, file, drawn, arguments.quiet)


def _check_nothing_is_lost(file: Path, here: Mapping[str, object]) -> None:
    """Raises InputError for the summary of a training, and for one of cases that are not `here`."""
    from ..results.summary import read_summary
    from ..runtime.errors import InputError
    from ..runtime.listing import listed

    summary = read_summary(file)
    remedy = "Choose another file with -o, or add --overwrite if what it has is no longer needed."
    if summary.components is not None:
        raise InputError(file, "a file of mednca_evaluate", "the summary of a training or an ensemble", remedy)
    if lost := [case for case in summary.cases if case not in here]:
        found = f"{len(lost)} more, which are in it now: {listed(lost, _NAMED)}"
        raise InputError(file, f"the {len(here)} cases of these folders or fewer", found, remedy)


def _beside(file: Path, name: str) -> Path:
    """cases.csv beside summary.json, mine_cases.csv beside mine.json."""
    return file.with_name(name if file.name == "summary.json" else f"{file.stem}_{name}")


def _write_cases(
    summary: "Summary", file: Path, folders: tuple[Path, Path, Path | None], labels: "Labels"
) -> Path | None:
    """Writes cases.csv and the pictures of the worst cases beside summary.json. Returns the folder of the pictures.

    folders: of predictions, references and images; without images those of a dataset (imagesTr beside labelsTr).
    """
    from ..evaluation.overlays import Picture, read_picture
    from ..evaluation.summary import label_files
    from ..evaluation.worst import draw_worst, write_cases
    from ..inference.inputs import image_finder
    from ..runtime.images import read_header

    predicted, true, images = label_files(folders[0]), label_files(folders[1]), folders[2]
    beside = folders[1].with_name(folders[1].name.replace("labels", "images", 1))
    if images is None and beside != folders[1] and beside.is_dir():
        images = beside

    find = image_finder(images) if images else None

    def picture_of(case: str) -> Picture:
        files = {"prediction": predicted[case], "reference": true[case]}
        return read_picture(case, find(case) if find else (), files, labels)

    first = read_header(true[next(iter(summary.cases))])
    write_cases(_beside(file, "cases.csv"), summary, first.geometry.ndim)
    folder = _beside(file, "worst")
    return folder if draw_worst(summary, folder, picture_of) else None


def _labels(arguments: argparse.Namespace, predictions: Path, references: Path) -> tuple["Labels", bool]:
    """The labels, and whether distances are in mm: of -d, of a dataset.json beside the labels, or as found."""
    from ..evaluation.summary import found_labels, have_spacing
    from .labels import described_beside

    if arguments.d:
        from ..datasets.dataset import load_dataset
        from ..workspace import open_workspace

        workspace = open_workspace(arguments.root)
        dataset = load_dataset(workspace.raw_folder(workspace.resolve(arguments.d)))
        return dataset.labels, dataset.spacing_known
    if beside := described_beside(references):
        labels, described = beside
        return labels, bool(described.get("spacing_known", have_spacing(references)))
    if not arguments.quiet:
        say("note: no -d and no dataset.json beside the labels: classes are the values found in the files")
    return found_labels(references, predictions), have_spacing(references)


def _conclude(summary: "Summary", file: Path, drawn: Path | None, quiet: bool) -> int:
    from rich.console import Console

    from ..evaluation.worst import worst_lines
    from ..runtime.listing import listed
    from .fitting import print_table
    from .tables import summary_table

    if not quiet:
        if summary.cases:
            print_table(Console(), summary_table(summary))
            for line in worst_lines(summary, drawn):
                say(line)
            say(f"Written: {shown(file)} and {_beside(file, 'cases.csv').name} beside it")
        if found := summary.missing:
            done = len(summary.cases) + len(summary.failed or {})
            of = f"{done} of {done + len(found)} label files have a prediction"
            say(f"note: {of}; without one: {listed(found, _NAMED)}")
        if found := summary.unmatched:
            say(f"note: predictions without a label file: {len(found)} ({listed(found, _NAMED)})")
    for case, reason in (summary.failed or {}).items():
        say(f"failed: {case}: {reason}", sys.stderr)
    if not summary.cases:
        say("No case could be evaluated, and nothing was written.", sys.stderr)
    return INPUT_FAULT if summary.failed else DONE


if __name__ == "__main__":
    sys.exit(main())
