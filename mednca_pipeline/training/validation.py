"""The result of a fold: its validation cases, predicted from their raw files and measured in their own geometry."""

import itertools
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..datasets.dataset import Case, load_dataset
from ..evaluation.component_removal import apply_postprocessing, postprocessed_metrics
from ..evaluation.metrics import evaluate_case, units_of
from ..evaluation.overlays import Picture, read_picture
from ..evaluation.summary import make_summary
from ..evaluation.worst import dice_of, draw_worst, worst_lines, write_cases
from ..inference.calibration import calibrate
from ..inference.cases import PredictedCase, predict_cases
from ..inference.options import PredictionOptions
from ..inference.prediction import ImagePredictor
from ..inference.predictor import Predictor
from ..plans.plans import Plans, describe_components
from ..results.fold_folder import FoldFolder
from ..results.summary import CaseResult, Summary
from ..runtime.images import read_labels
from ..runtime.listing import counted
from ..workspace import Workspace
from .job import Job
from .watch import SILENT, Watch

log = logging.getLogger(__name__)


def validate_fold(workspace: Workspace, job: Job, watch: Watch = SILENT) -> None:
    """Predicts the raw images of a trained fold's validation cases.

    Writes `validation/` (label files from which no component is removed, so that postprocessing can be chosen out of
    fold) and `summary.json` (their metrics, and those with the plan's components, which mednca_predict keeps) into the
    fold's folder, and the quality thresholds of all finished folds into the model's.
    """
    predictor = Predictor.from_folder(
        job.model_folder.path, [job.folder.name], PredictionOptions(device=job.options.device, postprocess=False)
    )
    validate(workspace, job.plans, predictor, job.folder, job.fold.val, watch)
    calibrate(job.model_folder)


def validate(
    workspace: Workspace,
    plans: Plans,
    predictor: ImagePredictor,
    folder: FoldFolder,
    names: Sequence[str],
    watch: Watch = SILENT,
) -> None:
    """Writes the label files, the summary and pictures of the worst of the cases `names` into `folder`.

    predictor: keeps all components.
    """
    cases = _raw_cases(workspace, plans.dataset, names)
    log.info("Validating %s: %s.", counted(len(cases), "case"), predictor.describe())
    watch.begins("Predicting validation cases", len(cases))
    count = itertools.count(1)
    predicted = predict_cases(predictor, cases, folder.validation, lambda name: watch.advances(next(count)))
    kept = predictor.plans.components
    watch.begins("Measuring validation cases", len(cases))
    measured = {}
    for done, case in enumerate(cases, start=1):
        measured[case.name] = _measured(case, predicted[case.name], plans, kept)
        watch.advances(done)
    summary = make_summary(measured, units_of(plans), components=kept)
    folder.write_summary(summary)
    _log_means(summary.mean, describe_components(kept), summary.units.distance)
    if kept:
        _log_means(summary.raw_means, "nothing removed", summary.units.distance)
    write_cases(folder.cases_file, summary, dimensions=plans.dimensions)
    _draw_worst(summary, {case.name: case for case in cases}, predicted, plans, folder.worst)
    for line in worst_lines(summary, folder.worst):
        log.info("%s", line)


def _draw_worst(
    summary: Summary, cases: Mapping[str, Case], predicted: Mapping[str, PredictedCase], plans: Plans, folder: Path
) -> None:
    """As measured: with the plan's components."""
    kept = summary.components or {}

    def picture_of(name: str) -> Picture:
        label = cases[name].label
        assert label is not None  # preprocessing refuses training cases without
        files = {"prediction": predicted[name].file, "reference": label}
        picture = read_picture(name, cases[name].images, files, plans.labels)
        maps = {**picture.label_maps}
        maps["prediction"], _ = apply_postprocessing(maps["prediction"], kept, plans.labels)
        return replace(picture, label_maps=maps, dice=dice_of(summary, name), across=plans.slicing_axis)

    shutil.rmtree(folder, ignore_errors=True)
    draw_worst(summary, folder, picture_of)


def _log_means(means: Mapping[str, Mapping[str, float]], what: str, unit: str) -> None:
    for name, mean in means.items():
        figures = f"Dice {mean['dice']:.4f}, HD95 {mean['hd95']:.3g} {unit}, NSD {mean['nsd']:.4f}"
        log.info("%s: %s%s", name, figures, f" ({what})" if what else "")


def _raw_cases(workspace: Workspace, dataset: str, names: Sequence[str]) -> list[Case]:
    known = {case.name: case for case in load_dataset(workspace.raw_folder(dataset)).training}
    return [known[name] for name in names]


def _measured(case: Case, predicted: PredictedCase, plans: Plans, components: Mapping[str, int]) -> CaseResult:
    assert case.label is not None  # preprocessing refuses training cases without
    found = read_labels(predicted.file)
    reference = read_labels(case.label, on=found.geometry)
    units = units_of(plans)
    raw = evaluate_case(found.array[0], reference.array[0], reference.spacing_mm, plans.labels, units)
    if not components:
        return CaseResult(raw, predicted.seconds, predicted.quality)
    kept = postprocessed_metrics(predicted.file, case.label, raw, components, plans.labels, plans.spacing_known)
    return CaseResult(kept, predicted.seconds, predicted.quality, raw)
