"""mednca_view: segments and reviews in the browser, on this machine alone."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..execution.terminal import say
from .common import check_there, command_parser, run_command

if TYPE_CHECKING:
    from ..viewing.server import ViewServer
    from ..viewing.session import Offer

PORT = 8765
EXAMPLES = """\
  mednca_view                       segment with the models of the workspace
  mednca_view out -i in             review predictions, flagged ones first
  mednca_view out -i in -l labels   with their references"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_view",
        "Opens a page in the browser that segments images with the models of the workspace and those installed, or "
        "shows a folder of predictions, flagged cases first. Only this machine can reach the page, and it sends "
        "nothing anywhere. Ctrl-C ends it.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("folder", nargs="?", metavar="FOLDER", help="folder of predictions to look through")
    add("-i", metavar="IMAGES", help="their images, as for mednca_predict")
    add("-l", metavar="LABELS", help="folder of their reference label files")
    add("-d", metavar="DATASET", help="dataset that names the classes (default: dataset.json beside LABELS or IMAGES)")
    add("--port", type=int, default=PORT, help=f"port on 127.0.0.1 (default: {PORT}; 0: any that is free)")
    add("--no-browser", action="store_true", help="print the address and open no browser")
    return run_command(parser, _view, argv)


def _view(arguments: argparse.Namespace) -> None:
    from ..runtime.errors import InputError
    from ..viewing.page import page_files
    from ..workspace import open_workspace

    page_files()  # what can be said at once is said
    if not arguments.folder and (arguments.i or arguments.l):
        raise InputError("FOLDER", "a folder of predictions, as -i or -l is given", "none", "Name it first.")
    for flag, given in (("FOLDER", arguments.folder), ("-i", arguments.i), ("-l", arguments.l)):
        if given:
            check_there(flag, Path(given).expanduser(), "a folder")
    workspace = open_workspace(arguments.root)
    from ..viewing.models import model_files
    from ..viewing.server import ViewServer
    from ..viewing.session import Offer, table_of

    with tempfile.TemporaryDirectory(prefix="mednca_view_") as scratch:
        models = model_files(workspace, Path(scratch))
        offer = _review(arguments, Offer(models)) if arguments.folder else Offer(models)
        with ViewServer(table_of(offer, Path(scratch)), arguments.port) as server:
            _serve(server, offer, arguments)


def _review(arguments: argparse.Namespace, offer: "Offer") -> "Offer":
    from dataclasses import replace

    from ..datasets.dataset import load_dataset
    from ..evaluation.summary import found_labels
    from ..viewing.review import review_cases
    from ..workspace import open_workspace
    from .labels import described_beside

    predictions, images, references = (
        Path(given).expanduser() if given else None for given in (arguments.folder, arguments.i, arguments.l)
    )
    assert predictions is not None  # as _view checked
    if arguments.d:
        workspace = open_workspace(arguments.root)
        labels = load_dataset(workspace.raw_folder(workspace.resolve(arguments.d))).labels
    else:
        beside = described_beside(*(folder for folder in (references, images, predictions) if folder))
        labels = beside[0] if beside else found_labels(predictions)
    return replace(offer, cases=review_cases(predictions, images, references), labels=labels)


def _serve(server: "ViewServer", offer: "Offer", arguments: argparse.Namespace) -> None:
    import webbrowser

    if not arguments.quiet:
        count = len(offer.cases)
        what = f"{count} prediction{'s' * (count != 1)} to review" if count else f"models: {len(offer.models)}"
        say(f"{what}. Ctrl-C ends it.")
    print(server.url, flush=True)
    if not arguments.no_browser:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        if not arguments.quiet:
            say("Ended.")


if __name__ == "__main__":
    sys.exit(main())
