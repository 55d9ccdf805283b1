"""mednca_crossval: trains all folds of several models and compares them."""

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from ..execution.terminal import columns, duration, say, shown, wrapped
from ..models.registry import COMPARED, MODELS
from .common import DONE, INPUT_FAULT, OUR_FAULT, add_cluster, command_parser, run_command

if TYPE_CHECKING:
    from ..crossval.jobs import FoldJob, JobOutcome
    from ..crossval.run import CrossvalResult

EXAMPLES = """\
  mednca_crossval 4                                        mednca against unet_small, all folds
  mednca_crossval 4 --models mednca unet --budget 15min    other models, a budget per fold
  mednca_crossval 4 --folds 0 1 --iterations 2000          two folds only; the tables name the missing ones
  mednca_crossval 4 --ensemble                             also a row for the mean of both models
  mednca_crossval 4 --jobs 2                               two folds at once, which share the cores
  mednca_crossval 4 --cluster tcp://HOST:8786              on the machines of a Dask cluster
  mednca_crossval 4                                        the same command continues after an interruption"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_crossval",
        "Trains the missing folds of several models, chooses the postprocessing of each model, and writes the "
        "comparison to results/<dataset>/comparison.csv, .md and .png. A fold that fails does not stop the others.",
        EXAMPLES,
    )
    add = parser.add_argument
    add("dataset", help="dataset: 4, 004 or Dataset004_Hippocampus")
    add(
        "--models",
        nargs="+",
        default=list(COMPARED),
        metavar="MODEL",
        help=f"models to compare: some of {', '.join(MODELS)}, also with a configuration, such as mednca_2d "
        f"(default: {' '.join(COMPARED)})",
    )
    add(
        "--ensemble",
        action="store_true",
        help="also compare the mean of these models, on the folds that all of them have finished",
    )
    add("--config", choices=["2d", "3d"], help="configuration (default: the plan's)")
    add("--folds", nargs="+", metavar="FOLD", help="folds to train, such as 0 1 (default: all)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--budget",
        metavar="TIME",
        help="training time per fold, such as 15min; converted to a number of iterations on the first missing fold of "
        "each model, and all folds of the model share this number",
    )
    length.add_argument(
        "--iterations", type=int, metavar="N", help="number of iterations (default: the plan's schedule)"
    )
    add(
        "--jobs",
        type=int,
        metavar="N",
        default=1,
        help="trainings that run at once and share this machine's cores (default: 1)",
    )
    add("--device", default="auto", help="device to train on: auto (default), cpu, cuda, cuda:1 or mps")
    add("--seed", type=int, metavar="N", default=0, help="seed of every training (default: 0)")
    add("-np", type=int, metavar="N", help="processes per training that augment (default: as for mednca_train)")
    add_cluster(parser)
    return run_command(parser, _crossvalidate, argv)


def _crossvalidate(arguments: argparse.Namespace) -> int:
    from ..models.registry import read_plans
    from ..results.fold_folder import fold_name
    from ..runtime.errors import InputError
    from ..training.schedule import parse_budget
    from ..workspace import open_workspace
    from .fold_bars import FoldBars

    named = [fold_name(fold) for fold in arguments.folds or ()]
    folds = tuple(fold for fold in named if isinstance(fold, int))
    if len(folds) < len(named):
        found = "all, a fold without validation cases to compare"
        raise InputError("--folds", "numbers such as 0 1", found, "Leave --folds out to train every numbered fold.")
    workspace = open_workspace(arguments.root)
    if arguments.budget is not None:
        parse_budget(arguments.budget)
    models, config = _named(arguments)
    plans = read_plans(workspace.plans_file(workspace.resolve(arguments.dataset)))
    for model in models:
        plans.config(config).model(model)

    from ..crossval.options import CrossvalOptions
    from ..crossval.work import find_work  # half a second, unlike torch

    options = CrossvalOptions(
        dataset=arguments.dataset,
        models=models,
        config=config,
        folds=folds or None,
        budget=arguments.budget,
        iterations=arguments.iterations,
        jobs=arguments.jobs,
        cluster=arguments.cluster,
        device=arguments.device,
        seed=arguments.seed,
        workers=arguments.np,
        quiet=arguments.quiet,
        ensemble=arguments.ensemble,
        command=" ".join(arguments.command),
    )
    find_work(workspace, options)
    if not arguments.quiet:
        say("Loading torch...", sys.stderr)

    from ..crossval.run import crossvalidate  # seconds: what can be said at once is said before

    with FoldBars(arguments.quiet) as bars:
        report = partial(_report, quiet=arguments.quiet)
        result = crossvalidate(workspace, options, report, bars)
    return _conclude(result, arguments.quiet)


def _named(arguments: argparse.Namespace) -> tuple[tuple[str, ...], str | None]:
    """(models, configuration): the names may be of models' folders, mednca_2d, if all say the same configuration."""
    from .naming import one_config, split_model

    named = [split_model(name) for name in arguments.models]
    models = tuple(dict.fromkeys(model for model, _ in named))
    remedy = f"Compare one at a time: mednca_crossval {arguments.dataset} --models {' '.join(models)} --config 2d."
    return models, one_config(arguments.config, [config for _, config in named], remedy)


def _report(job: "FoldJob", outcome: "JobOutcome", quiet: bool) -> None:
    if outcome.state == "failed":
        say(f"failed: {job.name}: {outcome.error}", sys.stderr)
    elif not quiet:
        say(f"{job.name}: done in {duration(60 * outcome.minutes)}")


def _conclude(result: "CrossvalResult", quiet: bool) -> int:
    if result.files and not quiet:
        _print_tables(result)
    for name, reason in result.failed.items():
        say(f"failed: {name}: {reason}", sys.stderr)
    if not result.failed:
        return DONE
    if result.ours:
        say(f"{len(result.failed)} failed. The same command tries again what is missing.", sys.stderr)
    else:
        say(f"{len(result.failed)} failed. Do as said above; then the same command does what is missing.", sys.stderr)
    return OUR_FAULT if result.ours else INPUT_FAULT


def _print_tables(result: "CrossvalResult") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..crossval.comparison import compare
    from ..runtime.printing import printable
    from .fitting import print_table
    from .tables import comparison_table

    console = Console()
    comparison = compare(result.models)
    for table in comparison_table(comparison).renderables:
        if isinstance(table, Table):
            print_table(console, table)
        else:
            console.print(table)
    for note in comparison.notes:
        console.print(Text(wrapped(printable(f"note: {note}"), columns()), style="yellow"))
    for file in result.files:
        say(shown(file))


if __name__ == "__main__":
    sys.exit(main())
