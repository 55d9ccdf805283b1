"""mednca_export: writes a trained model into one file, or into an ONNX graph with its description."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..execution.terminal import say, shown
from ..models.registry import MODELS
from .common import command_parser, run_command

if TYPE_CHECKING:
    from ..inference.trained_model import StoredModel
    from ..results.fold_folder import FoldName
    from ..workspace import Workspace

EXAMPLES = """  mednca_export -d 4 -o hippocampus.mednca       mednca, all finished folds
  mednca_export -d 4 -o hippocampus.mednca --dtype float16     in half the bytes
  mednca_export -m unet_small --folds 0 -o unet.mednca
  mednca_export -d 4 --format onnx -o hippocampus.onnx         and hippocampus.json"""
ENDINGS = {"mednca": ".mednca", "onnx": ".onnx"}


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_export",
        "Writes a trained model into one file that needs no workspace: the weights of its folds, plan, quality "
        "calibration, model card and ONNX graph. mednca_predict -m FILE predicts with it; mednca_info FILE tells what "
        "it is.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("-o", required=True, metavar="FILE", help="file to write: NAME.mednca, or NAME.onnx")
    add("-d", metavar="DATASET", help="trained dataset, such as 4 (default: the only one)")
    add(
        "-m",
        "--model",
        dest="m",
        default="mednca",
        metavar="MODEL",
        help=f"model: {', '.join(MODELS)} (default: mednca), a model with its configuration, such as mednca_3d, or the "
        "folder of a model",
    )
    add("--config", help="configuration: 2d or 3d (default: the plan's)")
    add("--folds", nargs="+", help="folds, such as 0 1 (default: all finished ones)")
    add(
        "--dtype",
        default="float32",
        choices=("float32", "float16"),
        help="how weights are stored (default: float32); float16 more than halves the file and costs less than "
        "0.001 of Dice",
    )
    add(
        "--format",
        default="mednca",
        choices=tuple(ENDINGS),
        help="mednca (default): a bundle; onnx: a graph with the weights, and a JSON file that says how to use it",
    )
    return run_command(parser, _export, argv)


def _export(arguments: Namespace) -> None:
    from ..runtime.errors import InputError
    from ..workspace import open_workspace

    out, ending = Path(arguments.o).expanduser().absolute(), ENDINGS[arguments.format]
    if out.suffix != ending:
        raise InputError(f"-o {arguments.o}", f"a file name that ends in {ending}", out.suffix or "another")
    workspace = open_workspace(arguments.root)
    from ..inference.trained import choose_folds, find_models

    (model,) = find_models(workspace, arguments.d, [arguments.m], arguments.config)
    folds = choose_folds(model, arguments.folds)
    if arguments.format == "onnx":
        _export_onnx(model, folds, out, arguments)
    else:
        _export_bundle(workspace, model, folds, out, arguments)


def _export_bundle(
    workspace: "Workspace",
    model: "StoredModel",
    folds: "tuple[FoldName, ...]",
    out: Path,
    arguments: Namespace,
) -> None:
    from ..deploy.bundle import check_free, write_bundle
    from ..deploy.card import facts_of_dataset, make_card
    from ..inference.folder_model import FolderModel
    from ..runtime.errors import InputError

    check_free(out)
    if not isinstance(model, FolderModel):
        raise InputError(f"-m {arguments.m}", "a model's folder", "a bundle", "Copy it: it is what would be written.")
    data = facts_of_dataset(workspace, model.plans.dataset)
    made = write_bundle(model, folds, arguments.dtype, make_card(model, folds, data), out)
    if arguments.quiet:
        return
    if not data.licence:
        say('note: no licence of the data is known. State it as "licence" in dataset.json, and export again.')
    if not made.card.measures:
        say("note: no fold of it was validated: whoever gets it cannot know how good it is.")
    which = f"{'folds' if len(folds) > 1 else 'fold'} {' '.join(map(str, folds))}"
    size = f"{out.stat().st_size / 1000:,.0f} kB"
    say(f"Written: {shown(out)}, {size}: {made.model} in {made.config} of {made.plans.dataset}, {which}.")
    say(f"See it with mednca_info {shown(out)}; predict with mednca_predict -m {shown(out)} -i IMAGES -o OUT.")


def _export_onnx(model: "StoredModel", folds: "tuple[FoldName, ...]", out: Path, arguments: Namespace) -> None:
    from ..deploy.onnx_files import write_onnx
    from ..runtime.errors import InputError

    if arguments.dtype != "float32":
        raise InputError("--dtype float16", "float32 for --format onnx", "float16", "Leave --dtype out.")
    description = write_onnx(model, folds, out)
    if not arguments.quiet:
        say(f"Written: {shown(out)}, {out.stat().st_size / 1000:,.0f} kB, and {shown(description)}.")


if __name__ == "__main__":
    sys.exit(main())
