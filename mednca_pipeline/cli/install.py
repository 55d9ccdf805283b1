"""mednca_install: adds a bundle to the models that every command knows by name."""

import argparse
import sys
from pathlib import Path

from ..execution.terminal import say
from .common import command_parser, run_command

EXAMPLES = """  mednca_install hippocampus.mednca                     as hippocampus
  mednca_install hippocampus.mednca --name hippo-2026   under another name"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_install",
        "Checks a bundle and copies it to this user's models, so that mednca_predict -m NAME finds it from any folder. "
        "The folder is named by $MEDNCA_MODELS, else it is where this system keeps a user's data; mednca_models shows "
        "it. To remove a model, delete its file.",
        EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="bundle, as mednca_export writes it")
    parser.add_argument("--name", help="name for -m (default: the file's)")
    parser.add_argument("--force", action="store_true", help="replace another model of this name")
    return run_command(parser, _install, argv)


def _install(arguments: argparse.Namespace) -> None:
    from ..inference.installed import install

    installed = install(Path(arguments.file).expanduser().absolute(), arguments.name, arguments.force)
    if not arguments.quiet:
        say(f"Installed: {installed}. Predict with mednca_predict -m {installed.stem} -i IMAGES -o OUT.")


if __name__ == "__main__":
    sys.exit(main())
