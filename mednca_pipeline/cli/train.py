"""mednca_train: trains and validates one fold."""

import argparse
import sys
from functools import partial

from ..execution.terminal import say, shown
from ..models.registry import MODELS
from .common import check_there, command_parser, run_command
from .naming import CONFIGS

EXAMPLES = """\
  mednca_train 4 fold0                                the plan's default model, configuration and schedule
  mednca_train 4 fold0 --budget 15min                 as many iterations as fit 15 minutes on this machine
  mednca_train 4 fold0 --model unet_small             the UNet baseline on the same cases
  mednca_train 4 fold0 --continue                     continue after an interruption
  mednca_train Dataset004_Hippocampus all             one model on all cases, without validation
  mednca_train 4 fold0 --val                          validate a trained fold again"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_train",
        "Trains one fold of a preprocessed dataset, then predicts and measures its validation cases. Writes weights, "
        "training.csv, progress.png and summary.json to results/<dataset>/<model>_<config>/fold_<k>.",
        EXAMPLES,
    )
    add = parser.add_argument
    switch = partial(add, action="store_true")
    add("dataset", help="dataset: 4, 004 or Dataset004_Hippocampus")
    add(
        "fold",
        nargs="+",
        metavar="fold",
        help="fold: 0, fold0 or fold_0; all trains on every case. 2d 0 is 0 --config 2d",
    )
    add(
        "-m",
        "--model",
        default="mednca",
        help=f"model: {', '.join(MODELS)} (default: mednca), or a model with its configuration, such as mednca_3d",
    )
    add("--config", choices=CONFIGS, help="configuration (default: the plan's)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--budget",
        metavar="TIME",
        help="training time, such as 90s, 20min or 1.5h; converted to a number of iterations",
    )
    length.add_argument(
        "--iterations", type=int, metavar="N", help="number of iterations (default: the plan's schedule)"
    )
    add("--device", default="auto", help="device to train on: auto (default), cpu, cuda, cuda:1 or mps")
    switch("--continue", dest="resume", help="continue from the last checkpoint")
    switch("--force", help="train a finished fold again and overwrite it")
    switch("--val", help="only repeat the validation of a trained fold")
    add("--pretrained", metavar="FILE", help="final.safetensors of the same architecture, from which training starts")
    add("--seed", type=int, metavar="N", default=0, help="seed of weights, samples and fire masks (default: 0)")
    add(
        "-np",
        "--workers",
        type=int,
        metavar="N",
        help="number of processes that augment (0: none; default: chosen by cores and device)",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="number of threads that compute (default: the cores that no worker has)",
    )
    return run_command(parser, _train, argv)


def _train(arguments: argparse.Namespace) -> int | None:
    from pathlib import Path

    from ..models.registry import read_plans
    from ..results.fold_folder import fold_name
    from ..training.options import TrainingOptions
    from ..training.schedule import parse_budget
    from ..workspace import open_workspace

    workspace = open_workspace(arguments.root)
    model, config, fold = _named(arguments)
    options = TrainingOptions(
        dataset=arguments.dataset,
        fold=fold_name(fold),
        model=model,
        config=config,
        budget_s=parse_budget(arguments.budget) if arguments.budget else None,
        iterations=arguments.iterations,
        device=arguments.device,
        seed=arguments.seed,
        workers=arguments.workers,
        threads=arguments.threads,
        resume=arguments.resume,
        force=arguments.force,
        pretrained=Path(arguments.pretrained) if arguments.pretrained else None,
        command=" ".join(arguments.command),
    )
    plans = read_plans(workspace.plans_file(workspace.resolve(options.dataset)))
    plans.config(options.config).model(options.model)
    if options.pretrained:
        check_there("--pretrained", options.pretrained, "the weights of a fold")

    from ..training.request import check_trainable, check_validatable, resolve  # half a second, unlike torch

    request = resolve(workspace, options)
    (check_validatable if arguments.val else check_trainable)(request)
    if not arguments.quiet:
        say("Loading torch...", sys.stderr)

    from ..training.fold import revalidate, train_fold  # seconds: what can be said at once is said before
    from ..training.printer import EpochPrinter

    with EpochPrinter(quiet=arguments.quiet) as printer:
        if arguments.val:
            revalidate(workspace, options, printer)
            return None
        folder = train_fold(workspace, options, printer)
    if not arguments.quiet:
        say(f"Results: {shown(folder.path)}")
    return None


def _named(arguments: argparse.Namespace) -> tuple[str, str | None, str]:
    """(model, configuration, fold). nnU-Net's order, 2d 0, and the name of a model's folder, mednca_2d, are known."""
    from ..runtime.errors import InputError
    from .naming import one_config, split_model

    model, suffix = split_model(arguments.model)
    before_fold = None
    *before, fold = arguments.fold
    if before:
        typed = " ".join(arguments.fold)
        config = before[0].partition("_")[0]  # 3d_fullres of nnU-Net
        if len(before) > 1 or before[0] not in CONFIGS:
            remedy = (
                f"Type mednca_train {arguments.dataset} {fold}{f' --config {config}' if config in CONFIGS else ''}."
            )
            raise InputError(typed, "a fold, or 2d or 3d and a fold", typed, remedy)
        before_fold = before[0]
    return model, one_config(arguments.config, (suffix, before_fold), "Name it once, with --config."), fold


if __name__ == "__main__":
    sys.exit(main())
