"""mednca_predict: segments new images with a trained model."""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..execution.terminal import say, shown
from .common import DONE, INPUT_FAULT, OUR_FAULT, add_cluster, check_own_json, command_parser, run_command

if TYPE_CHECKING:
    from ..inference.batch import Predicted, Settings
    from ..inference.trained_model import TrainedModel

EXAMPLES = """  mednca_predict -i in -o out                    the only trained dataset, all folds
  mednca_predict -i scan.nii.gz -o out -d 4      one file
  mednca_predict -i dicom_folder -o out -d 4     every DICOM series below the folder
  mednca_predict -i in -o out -d 4 -m unet_small --folds 0 1
  mednca_predict -i in -o out -d 4 -m mednca unet_small     the mean of two models
  mednca_predict -i in -o out -m hippocampus.mednca         one file, no workspace
  mednca_predict -i in -o out -d 4 --fast        one fold, without the quality score
  mednca_predict -i in -o out -d 4 --runs 10     the mean of ten random runs, for research"""


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(
        "mednca_predict",
        "Segments images with a trained model. The label files have the geometry of the images, and quality.csv holds "
        "a quality score for each case.",
        EXAMPLES,
    )
    add = parser.add_argument
    switch = partial(add, action="store_true")
    add("-i", required=True, metavar="IN", help="folder of images or DICOM series, or one file")
    add("-o", required=True, metavar="OUT", help="folder for label files and quality.csv")
    add("-d", metavar="DATASET", help="trained dataset, such as 4 (default: the only one)")
    add(
        "-m",
        "--model",
        dest="m",
        nargs="+",
        default=["mednca"],
        metavar="MODEL",
        help="model: mednca (default), unet_small or another that was trained, a model with its configuration, such "
        "as mednca_3d, a bundle, an installed model, or the folder of a model. Several models are averaged",
    )
    add("--config", help="configuration: 2d or 3d (default: the plan's)")
    add("--folds", nargs="+", help="folds of each model, such as 0 1 (default: all finished ones)")
    add(
        "--runs",
        type=int,
        default=0,
        help="number of random runs to average, shared between the folds of a model and rounded up to the same number "
        "in each fold (default: 0; each fold predicts once, by the expected update)",
    )
    add("--seed", type=int, default=0, help="seed of the random runs, the same for every case (default: 0)")
    switch("--no-quality", help="leave out the quality score, which takes about a third of the time")
    switch("--fast", help="predict with one fold (the first of --folds) and without the quality score")
    switch("--everywhere", help="compute every cell, not only those near an outline; slower")
    add(
        "--device",
        default="auto",
        help="device to predict on: auto (default; the CPU for mednca), cpu, cuda, mps, or onnx for a UNet: the CPU in "
        "ONNX Runtime",
    )
    add("--series", nargs="+", default=[], metavar="UID", help="UIDs or numbers of the DICOM series to take, or all")
    switch("--save_probabilities", help="also write a probability map per class")
    switch("--save_variance", help="also write the variance over models, folds and random runs")
    switch("--no-postprocess", help="remove no components")
    switch("--overwrite", help="predict finished cases again, and write over outputs that were changed since")
    add("--report", metavar="JSON", help="write versions, device, runtime and outputs to this file")
    add("--memory", help="memory that one image may take, such as 4GB; larger ones are refused (default: what is free)")
    add("-np", type=int, default=0, metavar="N", help="number of worker processes (default: 0)")
    add_cluster(parser)
    return run_command(parser, _predict, argv)


def _predict(arguments: argparse.Namespace) -> int:
    from ..inference.output_folder import check_folders, check_output_folder
    from ..runtime.errors import InputError
    from ..workspace import open_workspace

    start = time.perf_counter()
    source, out = (Path(text).expanduser().absolute() for text in (arguments.i, arguments.o))
    workspace = open_workspace(arguments.root)
    check_folders(source, out)
    if arguments.report:
        check_own_json("--report", Path(arguments.report), {"schema", "command", "outputs"})
    if arguments.fast and arguments.runs:
        raise InputError("--fast", "one pass of one fold", f"--runs {arguments.runs}", "Leave out --fast or --runs.")
    if arguments.fast and len(arguments.m) > 1:
        raise InputError("--fast", "one pass of one model", f"{len(arguments.m)} in -m", "Name one of them.")
    if not arguments.quiet:
        say(f"Looking for images in {shown(source)}.")  # importing is slow
    from ..execution.executors import open_executor  # slow from here on, and what can be said at once is said
    from ..execution.progress import counting
    from ..inference.batch import predict_inputs
    from ..inference.inputs import find_inputs
    from ..inference.trained import find_models

    trained = find_models(workspace, arguments.d, arguments.m, arguments.config)
    settings = _settings(arguments, trained)
    channels = trained[0].plans.channel_names
    cases, notes = find_inputs(source, len(channels), arguments.series)
    check_output_folder(source, cases, out)
    for line in [] if arguments.quiet else [*(f"note: {note}" for note in notes), "Loading the model."]:
        say(line)
    counted = counting("Predicting", len(cases), arguments.quiet)
    with counted as step, open_executor(arguments.np, arguments.cluster) as executor:
        predicted = predict_inputs(settings, cases, out, executor, arguments.overwrite, step)
    if arguments.report:
        from ..inference.run_report import write_report

        took_s = time.perf_counter() - start
        write_report(Path(arguments.report), settings, predicted, out, took_s, arguments.command)
    if arguments.debug:
        for error in predicted.failures.values():
            traceback.print_exception(error)
    return _conclude(predicted, out, arguments.quiet)


def _settings(arguments: argparse.Namespace, trained: "Sequence[TrainedModel]") -> "Settings":
    from ..inference.batch import Settings
    from ..inference.trained import choose_folds
    from ..runtime.errors import InputError
    from ..runtime.memory import parse_memory

    each = [choose_folds(model, arguments.folds) for model in trained]
    single = len(trained) == 1 and (len(each[0]) == 1 or arguments.fast)
    if arguments.save_variance and arguments.runs < 2 and single:
        raise InputError(
            "--save_variance",
            "several models, folds or random runs",
            "one pass of one fold, which does not vary",
            "Add --runs 10, or name more folds or models.",
        )
    folds = each[0][: 1 if arguments.fast else None] if arguments.folds or len(trained) == 1 else None
    return Settings(
        model_folders=tuple(model.path for model in trained),
        folds=folds,
        device=arguments.device,
        runs=arguments.runs,
        quality=not (arguments.fast or arguments.no_quality),
        seed=arguments.seed,
        postprocess=not arguments.no_postprocess,
        everywhere=arguments.everywhere,
        memory_bytes=parse_memory(arguments.memory) if arguments.memory else None,
        save_probabilities=arguments.save_probabilities,
        save_variance=arguments.save_variance,
    )


def _conclude(predicted: "Predicted", out: Path, quiet: bool) -> int:

    from ..inference.flags import flag_lines
    from ..runtime.errors import InputError
    from ..runtime.listing import listed

    if not quiet:
        kept = f", {len(predicted.kept)} kept from before (--overwrite makes them again)" if predicted.kept else ""
        where = f" Labels and quality.csv are in {shown(out)}." if predicted.written or predicted.kept else ""
        say(f"{len(predicted.written)} predicted{kept}.{where}")
        for line in flag_lines(predicted.flags, predicted.standing):
            say(line)
        if count := len(predicted.others):
            rows = f"{count} row{'s' * (count > 1)} of quality.csv"
            say(f"note: {rows} from before, of scans that are not in this input: {listed(predicted.others)}")
    for name, error in predicted.failures.items():
        message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error} (a fault of ours)"
        say(f"failed: {name}: {message}", sys.stderr)
    if not predicted.failures:
        return DONE
    others = "; the others are done" if predicted.written or predicted.kept else ""
    say(f"{len(predicted.failures)} of the inputs could not be predicted{others}.", sys.stderr)
    ours = any(not isinstance(error, InputError) for error in predicted.failures.values())
    return OUR_FAULT if ours else INPUT_FAULT


if __name__ == "__main__":
    sys.exit(main())
