"""The result of a fold: its validation cases, predicted from their raw files and measured in their own geometry."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from mednca_runtime.files import write_json
from mednca_runtime.formats import split_ending
from mednca_runtime.images import output_ending, read_labels

from ..datasets.dataset import Case, load_dataset
from ..evaluation.metrics import evaluate_case
from ..evaluation.summary import make_summary
from ..inference.calibration import calibrate
from ..inference.cases import predict_cases
from ..inference.predictor import Predictor
from ..planning.plans import Plans
from ..workspace import Workspace

log = logging.getLogger(__name__)


def validate_fold(
    workspace: Workspace,
    plans: Plans,
    folder: Path,
    names: Sequence[str],
    device: str,
    on_case: Callable[[str], None] | None = None,
) -> None:
    """Predicts the raw images of the cases `names` with the fold in `folder`, without postprocessing.

    Writes `validation/` (label files) and `summary.json` into the fold's folder, and the quality thresholds of all
    finished folds into the model's.
    """
    fold = folder.name.removeprefix("fold_")
    predictor = Predictor.from_folder(folder.parent, folds=[fold], device=device, postprocess=False)
    cases = _raw_cases(workspace, plans.dataset, names)
    log.info("Validating %d cases: %s.", len(cases), predictor.describe())
    predicted = predict_cases(predictor, cases, folder / "validation", progress=on_case)
    measured = {
        case.name: {"classes": _measure(case, folder / "validation", plans), **predicted[case.name]} for case in cases
    }
    summary = make_summary(measured, plans.spacing_known)
    write_json(folder / "summary.json", summary)
    calibrate(folder.parent)
    for name, mean in summary["mean"].items():
        log.info("%s: Dice %.4f, HD95 %.3g, NSD %.4f", name, mean["dice"], mean["hd95"], mean["nsd"])


def _raw_cases(workspace: Workspace, dataset: str, names: Sequence[str]) -> list[Case]:
    known = {case.name: case for case in load_dataset(workspace.raw_folder(dataset)).training}
    return [known[name] for name in names]


def _measure(case: Case, predictions: Path, plans: Plans) -> dict:
    ending = output_ending(split_ending(case.images[0])[1])
    predicted, reference = read_labels(predictions / f"{case.name}{ending}"), read_labels(case.label)
    return evaluate_case(
        predicted.array[0], reference.array[0], reference.spacing_mm, plans.labels, plans.spacing_known
    )
