"""Results folders made by hand for the tests of collecting and comparing."""

from mednca_pipeline.evaluation.metrics import Units
from mednca_pipeline.evaluation.summary import make_summary
from mednca_pipeline.plans.splits import Fold
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.run_record import RunRecord
from mednca_pipeline.results.summary import CaseResult

CLASSES = ("organ", "lesion", "foreground")


def metrics(dice):
    return {"dice": dice, "hd95": 10 * (1 - dice), "nsd": dice, "volume_predicted": 1.0, "volume_reference": 1.0}


SPLITS = tuple(Fold((f"train{number}",), (f"val{number}",)) for number in range(3))


def fold(results, model, number, dice_per_case, digest="plan-a", iterations=100, finished=True, classes=CLASSES, **run):
    folder = FoldFolder(results / model / f"fold_{number}")
    cases = {case: CaseResult(dict.fromkeys(classes, metrics(dice)), 0.5) for case, dice in dice_per_case.items()}
    folder.write_summary(make_summary(cases, Units()))
    record = {
        "finished": finished, "digest": digest, "split": SPLITS[number].digest, "iterations": iterations, "seed": 7,
        "device": "cpu", "threads": 2, "command": "mednca_train 4", "parameters": 25_000, "file_bytes": 102_400,
        "training_minutes": 10.0 + number, "peak_memory_bytes": (number + 1) * 2**20, **run,
    }  # fmt: skip
    folder.write_run(RunRecord(**record))
    return folder


def two_models(root):
    """Two models, two folds of three cases; the second model is better by 0.02 in five cases, and equal in one."""
    folder = root / "results" / "Dataset004_Hippocampus"
    first = {case: 0.80 + 0.01 * index for index, case in enumerate("abcdef")}
    second = {case: dice + (0.02 if case != "f" else 0) for case, dice in first.items()}
    for model, values in (("mednca_2d", first), ("unet_small_2d", second)):
        fold(folder, model, 0, {case: values[case] for case in "abc"})
        fold(folder, model, 1, {case: values[case] for case in "def"})
    return folder
