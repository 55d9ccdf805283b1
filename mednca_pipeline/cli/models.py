"""mednca_models: every model that -m knows here."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..execution.terminal import say
from .common import command_parser, run_command

if TYPE_CHECKING:
    from rich.table import Table

    from ..inference.listed_models import ListedModel

EXAMPLES = """  mednca_models              models of the workspace, installed and shipped ones
  mednca_models --root DIR   with those of another workspace"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_models",
        "Lists the models that mednca_predict -m knows: those trained in the workspace, those that were installed, and "
        "those that come with mednca_pipeline.",
        EXAMPLES,
    )
    return run_command(parser, _models, argv)


def _models(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from ..inference.installed import installed_folder
    from ..inference.listed_models import listed_models
    from ..workspace import open_workspace
    from .fitting import print_table

    models = listed_models(open_workspace(arguments.root))
    if models:
        print_table(Console(), _table(models))
    else:
        say("No model here: train one with mednca_train, or install one with mednca_install.")
    for model in models:
        if model.problem:
            say(f"note: {model.problem}")
    if not arguments.quiet:
        say(f"Installed models are in {installed_folder()}.")


def _table(models: "Sequence[ListedModel]") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from .findings import plain

    table = Table(title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("-m", "dataset", "folds"):
        table.add_column(title)
    for title in ("Dice", "kB"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("where", no_wrap=True)
    for model in models:
        dice = "–" if model.dice is None else f"{model.dice:.3f}"
        size = "damaged" if model.problem else f"{model.bytes / 1000:,.0f}"
        name = " ".join(filter(None, (model.name, model.options)))
        table.add_row(*map(plain, (name, model.dataset, model.folds)), dice, size, model.where)
    return table


if __name__ == "__main__":
    sys.exit(main())
