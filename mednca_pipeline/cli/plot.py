"""mednca_plot: pictures of predictions on their images."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..execution.terminal import say, shown
from .common import DONE, INPUT_FAULT, check_there, command_parser, run_command

if TYPE_CHECKING:
    from ..runtime.labels import Labels

EXAMPLES = """\
  mednca_plot -i in -p out -o pictures               each prediction on its image
  mednca_plot -i in -p out -l labels -o pictures     also its reference
  mednca_plot -i in -p out -o pictures --slices 3    the three slices with the most foreground"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_plot",
        "Writes a PNG for each prediction. It shows the slices with the most foreground: the image, the prediction on "
        "the image, and the reference on the image. Slices are numbered as in the file, and a class has the same "
        "colour in every picture.",
        EXAMPLES,
    )
    add = parser.add_argument
    add(
        "-i",
        required=True,
        metavar="IMAGES",
        help="images, as for mednca_predict: a folder of images or DICOM series, or one file",
    )
    add("-p", required=True, metavar="PREDICTIONS", help="folder of predicted label files, or one label file")
    add("-l", metavar="LABELS", help="folder of reference label files")
    add("-d", metavar="DATASET", help="dataset that names the classes (default: dataset.json beside LABELS or IMAGES)")
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
    for flag, folder in (("-i", images), ("-p", predictions), ("-l", references)):
        if folder and folder.is_dir() and out.resolve() == folder.resolve():
            remedy = "Choose another one: commands would take the pictures for images."
            raise InputError(f"-o {out}", f"another folder than {flag}", "the same", remedy)
    if references:
        check_there("-l", references, "a folder of reference label files")

    if not arguments.quiet:
        say(f"Drawing the predictions in {shown(predictions)}. Loading the libraries takes some seconds.")
    from ..evaluation.overlays import plot_folder  # slow from here on, and what can be said at once is said
    from ..evaluation.summary import label_files
    from ..execution.progress import counting_up
    from ..inference.inputs import image_finder
    from ..runtime.formats import split_ending

    alone = predictions.is_file()
    files = {split_ending(predictions)[0]: predictions} if alone else label_files(predictions)
    if images.is_file() and not alone:
        files = _of_one_image(images, predictions, files)
    labels = _labels(arguments, references, images)
    true = label_files(references) if references else {}
    with counting_up("Drawing", arguments.quiet) as update:
        written, failed = plot_folder(image_finder(images, alone), files, true, out, labels, arguments.slices, update)
    if not arguments.quiet:
        say(f"{len(written)} picture{'s' * (len(written) != 1)} in {shown(out)}")
    for case, reason in failed.items():
        say(f"failed: {case}: {reason}", sys.stderr)
    return INPUT_FAULT if failed else DONE


def _of_one_image(image: Path, predictions: Path, files: dict[str, Path]) -> dict[str, Path]:
    """The prediction of one image, as mednca_predict names it."""
    from ..inference.inputs import images_by_case
    from ..runtime.errors import InputError

    known = images_by_case(image)
    fitting = {case: file for case, file in files.items() if case in known}
    if not fitting:
        remedy = "Name its label file with -p, or the folder of the images with -i."
        raise InputError(predictions, f"a prediction of {image.name}, named {' or '.join(known)}", "none", remedy)
    return fitting


def _labels(arguments: argparse.Namespace, references: Path | None, images: Path) -> "Labels | None":
    """The labels of -d, or of a dataset.json beside the references or images; None where nothing names them."""
    from .labels import described_beside

    if arguments.d:
        from ..datasets.dataset import load_dataset
        from ..workspace import open_workspace

        workspace = open_workspace(arguments.root)
        return load_dataset(workspace.raw_folder(workspace.resolve(arguments.d))).labels
    beside = described_beside(*filter(None, (references, images if images.is_dir() else images.parent)))
    return beside[0] if beside else None


if __name__ == "__main__":
    sys.exit(main())
