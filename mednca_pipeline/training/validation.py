"""The result of a fold: its validation cases, predicted from their raw files and measured in their own geometry."""

import logging
from collections.abc import Callable, Mapping, Sequence

from ..datasets.dataset import Case, load_dataset
from ..evaluation.component_removal import postprocessed_metrics
from ..evaluation.metrics import Units, evaluate_case
from ..evaluation.summary import make_summary
from ..inference.calibration import calibrate
from ..inference.cases import PredictedCase, predict_cases
from ..inference.options import PredictionOptions
from ..inference.prediction import ImagePredictor
from ..inference.predictor import Predictor
from ..plans.plans import Plans, describe_components
from ..results.fold_folder import FoldFolder
from ..results.summary import CaseResult
from ..runtime.images import read_labels
from ..workspace import Workspace
from .job import Job

log = logging.getLogger(__name__)


def validate_fold(workspace: Workspace, job: Job, on_case: Callable[[str], None] | None = None) -> None:
    """Predicts the raw images of a trained fold's validation cases.

    Writes `validation/` (label files from which no component is removed, so that postprocessing can be chosen out of
    fold) and `summary.json` (their metrics, and those with the plan's components, which mednca_predict keeps) into the
    fold's folder, and the quality thresholds of all finished folds into the model's.
    """
    predictor = Predictor.from_folder(
        job.model_folder.path, [job.folder.name], PredictionOptions(device=job.options.device, postprocess=False)
    )
    validate(workspace, job.plans, predictor, job.folder, job.fold.val, on_case)
    calibrate(job.model_folder)


def validate(
    workspace: Workspace,
    plans: Plans,
    predictor: ImagePredictor,
    folder: FoldFolder,
    names: Sequence[str],
    on_case: Callable[[str], None] | None = None,
) -> None:
    """Writes the label files and the summary of the cases `names` into `folder`. predictor: keeps all components."""
    cases = _raw_cases(workspace, plans.dataset, names)
    log.info("Validating %d cases: %s.", len(cases), predictor.describe())
    predicted = predict_cases(predictor, cases, folder.validation, progress=on_case)
    kept = predictor.plans.components
    measured = {case.name: _measured(case, predicted[case.name], plans, kept) for case in cases}
    summary = make_summary(measured, Units(plans.spacing_known), components=kept)
    folder.write_summary(summary)
    unit = summary.units.distance
    _log_means(summary.mean, unit, describe_components(kept))
    if kept:
        _log_means(summary.raw_means, unit, "nothing removed")


def _log_means(means: Mapping[str, Mapping[str, float]], unit: str, what: str) -> None:
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
    units = Units(plans.spacing_known)
    raw = evaluate_case(found.array[0], reference.array[0], reference.spacing_mm, plans.labels, units)
    if not components:
        return CaseResult(raw, predicted.seconds, predicted.quality)
    kept = postprocessed_metrics(predicted.file, case.label, raw, components, plans.labels, plans.spacing_known)
    return CaseResult(kept, predicted.seconds, predicted.quality, raw)
