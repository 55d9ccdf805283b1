"""The mean of several models in a cross-validation: the models' same fold predicts its validation cases together."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.provenance import commit
from ..evaluation.results import RUN_SCHEMA, FoldResult, collect_results, is_finished, members_of, read_run, run_digests
from ..inference.combination import Combination
from ..inference.predictor import Predictor
from ..plans.plans import Plans
from ..plans.splits import Fold
from ..runtime.errors import InputError
from ..runtime.files import write_json
from ..workspace import Workspace
from .lock import only_writer
from .validation import validate

log = logging.getLogger(__name__)


def update_ensemble(
    workspace: Workspace, plans: Plans, splits: Sequence[Fold], names: Sequence[str], device: str, command: str
) -> None:
    """Writes the folds of `results/<dataset>/<name>+<name>` that all models have finished and that are not up to date.

    names: of model folders, such as mednca_2d. command: what is noted in run.json.
    Raises InputError where there is no such fold, or a model cannot be loaded.
    """
    results = workspace.results_folder(plans.dataset)
    models = [found for found in collect_results(results, splits, plans) if found.name in names]
    complete = [fold for fold in range(len(splits)) if len(members_of(models, fold)) == len(names)]
    if not complete:
        raise InputError(f"--ensemble: expected a fold that {' and '.join(names)} have finished, found none.")
    for fold in complete:
        members, folder = members_of(models, fold), results / "+".join(names) / f"fold_{fold}"
        if is_finished(folder) and read_run(folder).get("members") == run_digests(members):
            log.info("%s fold %d is finished", " + ".join(names), fold)
            continue
        predictors = [
            Predictor.from_folder(members[name].folder.parent, [fold], device, postprocess=False) for name in names
        ]
        with only_writer(folder):
            validate(workspace, plans, Combination(predictors, postprocess=False), folder, splits[fold].val)
            write_json(folder / "run.json", _run_record(members, fold, splits[fold].digest, command))


def _run_record(members: Mapping[str, FoldResult], fold: int, split: str, command: str) -> dict[str, Any]:
    """What the comparison reads of a fold. Parameters, file and training are sums: all models are needed to predict."""
    runs = [result.run for result in members.values()]
    totals = {key: _total(runs, key) for key in ("parameters", "file_bytes", "training_minutes")}
    peaks = [run["peak_memory_bytes"] for run in runs if run.get("peak_memory_bytes") is not None]
    return {
        "schema": RUN_SCHEMA,
        "finished": True,
        "members": run_digests(members),
        "command": command,
        "commit": commit(),
        "fold": fold,
        "split": split,
        "peak_memory_bytes": max(peaks, default=None),
        **totals,
    }


def _total(runs: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [run.get(key) for run in runs]
    return None if None in values else sum(values)
