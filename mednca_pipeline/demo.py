"""python -m mednca_pipeline.demo: the whole pipeline on phantoms, with the commands that a user would type."""

import argparse
import contextlib
import io
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from .cli.common import command_parser, run_command
from .execution.terminal import say, shown
from .models.registry import COMPARED

DATASET = "Dataset001_Phantom"
EXAMPLES = """\
  python -m mednca_pipeline.demo                       everything in ./mednca_demo, in under four minutes
  python -m mednca_pipeline.demo --budget 20s          shorter trainings, which the table then warns of
  python -m mednca_pipeline.demo --root /tmp/demo      somewhere else"""


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does: number of phantoms, their size in voxels, (y, x) or (z, y, x), and options of a training.

    Pictures, because a few of them let both models have the whole schedule of their plan in a minute. Volumes have so
    many slices that a comparison of this length would be one of trainings that are cut off.
    """

    n_train: int = 15
    n_test: int = 3
    size: tuple[int, ...] = (36, 50)
    training: tuple[str, ...] = ()


class StepFailed(Exception):
    """A command of the demo ended with another exit code than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the command above ended with exit code {code}")
        self.code = code


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "python -m mednca_pipeline.demo",
        "Makes phantoms that look like slices of hippocampus MRI, trains Med-NCA and a small UNet on two of five "
        "folds, compares them, and segments unseen phantoms. The same command continues after an interruption.",
        EXAMPLES,
    )
    parser.set_defaults(root="mednca_demo")
    parser.add_argument("--budget", help="training time per fold and model, such as 20s (default: the plan's schedule)")
    return run_command(parser, _demo, argv)


def _demo(arguments: argparse.Namespace) -> int:
    flags = [f"--{name}" for name in ("quiet", "debug") if getattr(arguments, name)]
    training = ("--budget", arguments.budget) if arguments.budget else ()
    shown = contextlib.redirect_stdout(io.StringIO()) if arguments.quiet else contextlib.nullcontext()
    try:
        with shown:
            run_demo(Path(arguments.root), DemoSize(training=training), flags)
    except StepFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return failure.code
    return 0


def run_demo(root: Path, size: DemoSize, flags: Sequence[str] = ()) -> None:
    """Runs every step in the workspace `root`, which is made if absent. Raises StepFailed at the first that fails.

    flags: options that every command gets, such as --quiet.
    """
    start = time.perf_counter()
    raw = root / "raw" / DATASET
    predictions, pictures = root / "predictions", root / "pictures"
    place = ("--root", str(root), *flags)
    _write_phantoms(raw, size)
    _command("plan_and_preprocess", "-d", "1", "--config", "2d", *place)
    _command(
        "crossval", "1", "--models", *COMPARED, "--folds", "0", "1", *size.training, "--jobs", "2", "-np", "0", *place
    )
    images, labels = str(raw / "imagesTs"), str(raw / "labelsTs")
    _command("predict", "-i", images, "-o", str(predictions), "-d", "1", *place)
    _command("evaluate", "-p", str(predictions), "-l", labels, "-d", "1", *place)
    _command("plot", "-i", images, "-p", str(predictions), "-l", labels, "-o", str(pictures), *place)
    _print_results(root, predictions, pictures)
    print(f"\nThe demo took {(time.perf_counter() - start) / 60:.1f} minutes.")


def _write_phantoms(folder: Path, size: DemoSize) -> None:
    from .phantom import write_phantom_dataset

    if (folder / "dataset.json").is_file():
        print(f"Going on with the phantoms in {folder} (delete the folder {folder.parents[1]} to begin anew).")
        return
    print(f"Making {size.n_train} labelled and {size.n_test} unseen phantoms in {folder}")
    write_phantom_dataset(folder, size.n_train, size.n_test, size=size.size)


def _command(name: str, *arguments: str) -> None:
    """Prints a command as a user would type it and runs it in this process."""
    say(f"\n$ mednca_{name} {shlex.join(arguments)}")
    code = import_module(f".cli.{name}", __package__).main(list(arguments))
    if code:
        raise StepFailed(code)


def _print_results(root: Path, predictions: Path, pictures: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from .cli.fitting import print_table
    from .cli.tables import comparison_table
    from .crossval.collect import collect_results
    from .crossval.comparison import compare
    from .datasets.dataset import load_dataset
    from .fingerprint.leakage import workspace_splits
    from .workspace import open_workspace

    workspace = open_workspace(root)
    results = workspace.results_folder(DATASET)
    cases = [case.name for case in load_dataset(workspace.raw_folder(DATASET)).training]
    splits = workspace_splits(workspace, DATASET, cases)
    print()
    for table in comparison_table(compare(collect_results(results, splits))).renderables:
        if isinstance(table, Table):
            print_table(Console(), table)
        else:
            Console().print(table)
    picture = min(pictures.glob("*.png"))
    say("(incomplete): two of the five folds are trained; mednca_crossval trains the others.\n")
    for what, path in (
        ("comparison", results / "comparison.md"),
        ("its figure", results / "comparison.png"),
        ("reasons of the plan", workspace.plans_file(DATASET)),
        ("trained models", results),
        ("segmentations", predictions),
        ("their quality", predictions / "quality.csv"),
        ("segmentation and truth", picture),
    ):
        print(f"{what:>24}  {shown(path)}")


if __name__ == "__main__":
    sys.exit(main())
