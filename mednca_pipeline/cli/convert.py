"""mednca_convert: makes a raw dataset from a public dataset's download, or from images and masks."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_conversion import CONVERTERS

from ..execution.terminal import say, shown
from .common import check_there, command_parser, run_command

if TYPE_CHECKING:
    from dataset_conversion.conversion import Options

EXAMPLES = """  mednca_convert msd -i Task04_Hippocampus -d 4
  mednca_convert promise12 -i PROMISE12 -d 12
  mednca_convert busi -i Dataset_BUSI_with_GT -d 20
  mednca_convert chest_xray -i ChestXray -d 21
  mednca_convert pairs -i images -l masks -d 30 --name Vessels --threshold 127
  mednca_convert pairs -i images -l masks -d 31 --name Cells --map 255:1 128:2 --labels 1:cell 2:nucleus
  mednca_convert pairs -i scans -l scans -d 33 --name Lesions --labels 1:lesion --channel CT
  mednca_convert pairs -i dicom_folders -l labelmaps -d 32 --name Liver"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_convert",
        "Writes a dataset in nnU-Net's raw format to raw/DatasetNNN_Name. The source does not change.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("converter", choices=CONVERTERS, help="what the source is; pairs: a folder of images and a folder of masks")
    add(
        "-i",
        required=True,
        metavar="SOURCE",
        help="downloaded folder; with pairs: folder of images, or of DICOM subfolders",
    )
    add("-d", required=True, type=int, metavar="NUMBER", help="number of the new dataset")
    add("--name", help="name of the new dataset (default: the source's name; required with pairs)")
    add("--force", action="store_true", help="overwrite an existing dataset")
    pairs = parser.add_argument_group("options for pairs only")
    pairs.add_argument("-l", metavar="MASKS", help="folder of masks, which are named after their images")
    pairs.add_argument("--threshold", type=float, metavar="T", help="make mask values above T label 1")
    pairs.add_argument(
        "--map", nargs="+", metavar="FROM:TO", help="mask values and their labels: 255:1 makes 255 label 1"
    )
    pairs.add_argument("--labels", nargs="+", metavar="VALUE:NAME", help="names of the labels: 1:tumour 2:vessel")
    pairs.add_argument(
        "--channel", nargs="+", metavar="NAME", help="names of the images' channels: CT decides how they are normalised"
    )
    pairs.add_argument(
        "--series",
        nargs="+",
        metavar="UID",
        help="UIDs or numbers of the DICOM series to take if a folder holds several, or all",
    )
    return run_command(parser, _convert, argv)


def _convert(arguments: argparse.Namespace) -> None:
    for flag, given in (("-i", arguments.i), ("-l", arguments.l)):
        if given:
            check_there(flag, Path(given).expanduser(), "a folder")

    from functools import partial
    from importlib import import_module

    from dataset_conversion.conversion import new_folder, write_dataset

    from ..execution.progress import counting
    from ..workspace import open_workspace

    options = _options(arguments)
    workspace = open_workspace(arguments.root)
    new = partial(new_folder, workspace, arguments.d, force=arguments.force)
    folder = new(name=arguments.name) if arguments.name else None  # says what is wrong before the source is read
    conversion = import_module(CONVERTERS[arguments.converter]).convert(options)
    if folder is None:
        folder = new(name=conversion.name)
    with counting("Converting", len(conversion.cases), arguments.quiet) as step:
        write_dataset(conversion, folder, step)
    if not arguments.quiet:
        for note in conversion.notes:
            say(f"note: {note}")
        training = sum(case.label is not None for case in conversion.cases)
        say(f"Wrote {shown(folder)}: {training} training and {len(conversion.cases) - training} test cases.")
        say(f"Next: mednca_plan_and_preprocess -d {arguments.d}")


def _options(arguments: argparse.Namespace) -> "Options":
    from dataset_conversion.conversion import Options

    from ..runtime.errors import InputError

    flags = ("-l", "--threshold", "--map", "--labels", "--channel", "--series")
    given = " ".join(flag for flag in flags if getattr(arguments, flag.lstrip("-")) is not None)
    if given and arguments.converter != "pairs":
        remedy = f"Leave out {given}, or convert with pairs."
        raise InputError(f"mednca_convert {arguments.converter}", "no option of pairs", given, remedy)
    mapping = None
    if arguments.map is not None:
        mapping = {
            value: _whole(f"--map {value}:{label}", label)
            for value, label in _pairs("--map", arguments.map, "255:1").items()
        }
    labels = _pairs("--labels", arguments.labels or [], "1:tumour")
    if twice := sorted({name for name in labels.values() if list(labels.values()).count(name) > 1 or not name}):
        raise InputError("--labels", "a name of its own for each label", ", ".join(map(repr, twice)))
    return Options(
        Path(arguments.i).expanduser(),
        Path(arguments.l).expanduser() if arguments.l else None,
        arguments.threshold,
        mapping,
        tuple(arguments.series or ()),
        labels or None,
        tuple(arguments.channel or ()),
    )


def _pairs(flag: str, pairs: list[str], example: str) -> dict[int, str]:
    """["255:1", ...] -> {255: "1", ...}."""
    from ..runtime.errors import InputError

    found: dict[int, str] = {}
    for pair in pairs:
        value, colon, text = pair.partition(":")
        if not colon:
            raise InputError(f"{flag} {pair}", f"a value and what it becomes, such as {example}", "no colon")
        if (number := _whole(f"{flag} {pair}", value)) in found:
            raise InputError(flag, "each value once", f"{number} twice")
        found[number] = text.strip()
    return found


def _whole(flag: str, text: str) -> int:
    from ..runtime.errors import InputError

    if not text.strip().isdecimal():
        raise InputError(flag, "a whole number", repr(text))
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
