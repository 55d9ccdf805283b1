"""All inputs of a command, one after the other or in worker processes; one bad input never stops the others."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..execution.work import Task, run_in_order
from ..results.fold_folder import FoldName
from ..runtime.quality import Standing
from .cases import map_files, predict_case
from .combination import Combination
from .inputs import InputCase
from .options import PredictionOptions
from .prediction import ImagePredictor
from .predictor import Predictor
from .quality_table import QualityTable, Row, columns

log = logging.getLogger(__name__)
FAILED = "failed"  # the flag of an input without output


@dataclass(frozen=True, kw_only=True)
class Settings(PredictionOptions):
    """What is predicted with, how, and what is saved. Hashable: a worker process loads its own predictor from it.

    model_folders: several are averaged. folds: of each; None for all finished ones.
    """

    model_folders: tuple[Path, ...]
    folds: tuple[FoldName, ...] | None = None
    save_probabilities: bool = False
    save_variance: bool = False

    def load(self) -> ImagePredictor:
        predictors = [Predictor.from_folder(folder, self.folds, self) for folder in self.model_folders]
        return predictors[0] if len(predictors) == 1 else Combination(predictors, self.postprocess)


@dataclass
class Predicted:
    """Files written and kept (finished before), what went wrong by case name, and what it was done with.

    flags: of both, by case name. standing: how good the model was in validation.
    """

    made_with: str
    device: str
    runs_per_fold: int
    standing: Standing = Standing()
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)


def predict_inputs(
    settings: Settings,
    cases: Sequence[InputCase],
    out: Path,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> Predicted:
    """Predicts `cases` into the folder `out` and keeps `out/quality.csv` up to date after each.

    Cases whose files and row exist are kept unless `overwrite`. executor: whose workers share the work; None: this
    process does it. What goes wrong with a case is in `failures` and in its row; a model that cannot be loaded raises
    InputError at once.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    predictor = settings.load()
    log.info("Predicting with %s.", predictor.describe())
    table = QualityTable(out / "quality.csv", columns(predictor.plans))
    predicted = Predicted(predictor.describe(), predictor.device, predictor.runs_per_fold, predictor.standing)
    todo = []
    for case in cases:
        if not overwrite and _is_finished(case, table, out, predictor, settings):
            predicted.kept.append(case.output)
            progress(case.name)
        else:
            todo.append(case)
    _warn_of_other_settings(predicted, table)
    tasks = _tasks(settings, predictor, todo, out, here=executor is None)
    for case, outcome in zip(todo, run_in_order(tasks, executor), strict=True):
        if outcome.error is None:
            predicted.written.append(case.output)
            table.put(outcome.value)
        else:
            predicted.failures[case.name] = outcome.error
            table.put(_failed_row(case, outcome.error))
        progress(case.name)
    predicted.flags = {
        case.name: table.rows[case.output]["flag"] for case in cases if case.name not in predicted.failures
    }
    return predicted


def _tasks(
    settings: Settings, predictor: ImagePredictor, cases: Sequence[InputCase], out: Path, here: bool
) -> list[Task]:
    """A worker loads its own predictor; here the one that is loaded predicts."""
    if here:
        maps = settings.save_probabilities, settings.save_variance
        return [Task(case.name, predict_case, (predictor, case, out, *maps)) for case in cases]
    return [Task(case.name, _predict_in_worker, (settings, case, out)) for case in cases]


def _failed_row(case: InputCase, error: Exception) -> Row:
    return {"case": case.name, "file": case.output, "flag": FAILED, "warnings": " ".join(str(error).split())}


def _predict_in_worker(settings: Settings, case: InputCase, out: Path) -> Row:
    return predict_case(_worker_predictor(settings), case, out, settings.save_probabilities, settings.save_variance)


@lru_cache(maxsize=1)
def _worker_predictor(settings: Settings) -> ImagePredictor:
    return settings.load()


def _is_finished(
    case: InputCase, table: QualityTable, out: Path, predictor: ImagePredictor, settings: Settings
) -> bool:
    if table.rows.get(case.output, {}).get("flag", FAILED) == FAILED:
        return False
    maps = map_files(predictor, case, settings.save_probabilities, settings.save_variance)
    return all((out / name).is_file() for name in (case.output, *maps.values()))


def _warn_of_other_settings(predicted: Predicted, table: QualityTable) -> None:
    others = [name for name in predicted.kept if table.rows[name].get("made_with") != predicted.made_with]
    if others:
        log.warning(
            "%d outputs are kept that were made with other settings, such as %s (%s): --overwrite makes them again.",
            len(others),
            others[0],
            table.rows[others[0]].get("made_with"),
        )
