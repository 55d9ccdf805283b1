"""The mean of several models in a cross-validation: the models' same fold predicts its validation cases together."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..evaluation.provenance import commit
from ..inference.combination import Combination
from ..inference.options import PredictionOptions
from ..inference.predictor import Predictor
from ..plans.plans import Plans
from ..plans.splits import Fold
from ..results.model_folder import ModelFolder, ModelRecord
from ..results.run_record import RunRecord
from ..runtime.errors import InputError
from ..training.validation import validate
from ..workspace import Workspace
from .collect import FoldResult, collect_results, members_of, run_digests
from .watching import SILENT, Averaging, CrossvalWatch

Number = TypeVar("Number", int, float)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ensemble:
    """names: of the models' folders, such as mednca_2d. command: what is noted in run.json."""

    names: tuple[str, ...]
    device: str
    command: str


def update_ensemble(
    workspace: Workspace, plans: Plans, splits: Sequence[Fold], ensemble: Ensemble, watch: CrossvalWatch = SILENT
) -> None:
    """Writes the folds that all models have finished and that are not up to date. watch: hears how far that is.

    Raises InputError where there is no such fold, or a model cannot be loaded.
    """
    results, names = workspace.results_folder(plans.dataset), ensemble.names
    models = [found for found in collect_results(results, splits, plans) if found.name in names]
    complete = [fold for fold in range(len(splits)) if len(members_of(models, fold)) == len(names)]
    if not complete:
        remedy = "Run the same command again: it tries again what is missing."
        raise InputError("--ensemble", f"a fold that {' and '.join(names)} have finished", "none", remedy)
    record = ModelRecord(plans.dataset, members=names)
    target = ModelFolder.of(results, record)
    for number in complete:
        members, folder = members_of(models, number), target.fold(number)
        if folder.is_validated() and (run := folder.run()) and run.members == run_digests(members):
            log.info("%s fold %d is finished", " + ".join(names), number)
            continue
        folders = {model.name: model.folder.path for model in models}
        predictors = [
            Predictor.from_folder(folders[name], [number], PredictionOptions(device=ensemble.device, postprocess=False))
            for name in names
        ]
        with folder.only_writer():
            target.write_record(record)
            told = Averaging(f"{' + '.join(names)} fold {number}", watch)
            validate(workspace, plans, Combination(predictors, postprocess=False), folder, splits[number].val, told)
            folder.write_run(_run_record(members, number, splits[number], ensemble.command))
    watch.folds([])


def _run_record(members: Mapping[str, FoldResult], number: int, fold: Fold, command: str) -> RunRecord:
    """What the comparison reads of a fold. Parameters, file and training are sums: all models are needed to predict."""
    runs = [result.run for result in members.values()]
    peaks = [run.peak_memory_bytes for run in runs if run.peak_memory_bytes is not None]
    return RunRecord(
        finished=True,
        members=run_digests(members),
        command=command,
        commit=commit(),
        fold=number,
        split=fold.digest,
        peak_memory_bytes=max(peaks, default=None),
        parameters=_total([run.parameters for run in runs]),
        file_bytes=_total([run.file_bytes for run in runs]),
        training_minutes=_total([run.training_minutes for run in runs]),
    )


def _total(values: Sequence[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
