"""mednca_plot: pictures of predictions on their images."""

import argparse
import sys
from pathlib import Path

from .common import DONE, INPUT_FAULT, check_there, command_parser, run_command, say

EXAMPLES = """\
  mednca_plot -i in -p out -o pictures               each prediction on its image
  mednca_plot -i in -p out -l labels -o pictures     also its reference
  mednca_plot -i in -p out -o pictures --slices 3    the three slices with the most foreground"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_plot",
        "Writes a PNG for each prediction. It shows the slices with the most foreground: the image, the prediction on "
        "the image, and the reference on the image.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("-i", required=True, metavar="IMAGES", help="folder of images, or one image")
    add("-p", required=True, metavar="PREDICTIONS", help="folder of predicted label files, or one label file")
    add("-l", metavar="LABELS", help="folder of reference label files")
    add("-o", required=True, metavar="OUT", help="folder for the pictures")
    add("--slices", type=int, default=1, metavar="N", help="number of slices of each 3D image (default: 1)")
    return run_command(parser, _plot, argv)


def _plot(arguments: argparse.Namespace) -> int:
    from ..runtime.errors import InputError

    if arguments.slices < 1:
        raise InputError("--slices", "at least 1", str(arguments.slices))
    images, predictions, out = (Path(text).expanduser() for text in (arguments.i, arguments.p, arguments.o))
    references = Path(arguments.l).expanduser() if arguments.l else None
    check_there("-i", images, "images")
    check_there("-p", predictions, "predicted label files")
    if references:
        check_there("-l", references, "a folder of reference label files")

    from ..evaluation.overlays import plot_folder  # slow from here on, and what can be said at once is said
    from ..execution.progress import progress_bar

    with progress_bar(arguments.quiet) as bar:
        task = bar.add_task("Drawing", total=None)
        written, failed = plot_folder(
            images,
            predictions,
            references,
            out,
            arguments.slices,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if not arguments.quiet:
        say(f"{len(written)} pictures in {out}")
    for case, reason in failed.items():
        say(f"failed: {case}: {reason}", sys.stderr)
    return INPUT_FAULT if failed else DONE


if __name__ == "__main__":
    sys.exit(main())
