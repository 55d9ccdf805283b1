"""mednca_info: what a person must know of a model, from its bundle or its folder."""

import argparse
import sys
from typing import TYPE_CHECKING

from ..execution.terminal import columns, shown, wrapped
from ..runtime.printing import printable
from .common import command_parser, run_command

if TYPE_CHECKING:
    from ..inference.bundle_model import BundleModel

_HEAD = 12  # columns of the subjects
EXAMPLES = """  mednca_info hippocampus.mednca     a bundle
  mednca_info hippocampus            an installed model
  mednca_info mednca_2d -d 4         a model of the workspace"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_info",
        "Tells what a model segments, what it was trained on, how good it was in validation, and what it is not for. A "
        "bundle is checked as a whole.",
        EXAMPLES,
    )
    parser.add_argument("model", metavar="MODEL", help="bundle, folder, name of an installed model, or model")
    parser.add_argument("-d", metavar="DATASET", help="trained dataset, for a model of the workspace")
    return run_command(parser, _info, argv)


def _info(arguments: argparse.Namespace) -> None:
    from ..deploy.card import card_of, facts_of_dataset
    from ..deploy.card_text import NOT_FOR_CLINICAL_USE, model_lines
    from ..inference.bundle_model import BundleModel
    from ..inference.trained import choose_folds, find_models
    from ..workspace import open_workspace

    workspace = open_workspace(arguments.root)
    (model,) = find_models(workspace, arguments.d, [arguments.model], None)
    folds = choose_folds(model, None)
    card = card_of(model, folds, facts_of_dataset(workspace, model.plans.dataset))
    lines = [("file", _file(model)) if isinstance(model, BundleModel) else ("folder", shown(model.path))]
    dataset = f" -d {arguments.d}" if arguments.d else ""
    lines += model_lines(model, card, folds)
    lines += [("use", f"mednca_predict -m {arguments.model}{dataset} -i IMAGES -o OUT"), ("note", NOT_FOR_CLINICAL_USE)]
    for subject, sentence in lines:
        print(wrapped(printable(f"{subject:{_HEAD}}{sentence}"), columns(), " " * _HEAD))


def _file(model: "BundleModel") -> str:
    manifest, size = model.bundle.manifest, model.path.stat().st_size
    return (
        f"{shown(model.path)}, {size / 1000:,.0f} kB, weights in {manifest.weights}; written by {manifest.made_with}; "
        "every sum is right"
    )


if __name__ == "__main__":
    sys.exit(main())
