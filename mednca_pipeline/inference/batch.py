"""All inputs of a command, one after the other or in worker processes; one bad input never stops the others."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..processes import worker_pool
from ..runtime.errors import InputError
from .cases import map_files, predict_case
from .combination import Combination
from .inputs import InputCase
from .prediction import ImagePredictor
from .predictor import Predictor
from .table import QualityTable, Row, columns
from .trained import Fold

log = logging.getLogger(__name__)
FAILED = "failed"  # the flag of an input without output


@dataclass(frozen=True)
class Settings:
    """What is predicted with and saved. Small and hashable: a worker process loads its own predictor from it.

    model_folders: several are averaged. folds: of each; None for all finished ones.
    """

    model_folders: tuple[Path, ...]
    folds: tuple[Fold, ...] | None = None
    device: str = "auto"
    runs: int = 0
    quality: bool = True
    seed: int = 0
    postprocess: bool = True
    everywhere: bool = False
    save_probabilities: bool = False
    save_variance: bool = False

    def load(self) -> ImagePredictor:
        predictors = [
            Predictor.from_folder(
                folder,
                self.folds,
                self.device,
                self.runs,
                self.quality,
                self.seed,
                self.postprocess,
                self.everywhere,
            )
            for folder in self.model_folders
        ]
        return predictors[0] if len(predictors) == 1 else Combination(predictors, self.postprocess)


@dataclass
class Outcome:
    """Files written and kept (finished before), what went wrong by case name, and what it was done with."""

    made_with: str
    device: str
    runs_per_fold: int
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)


def predict_inputs(
    settings: Settings,
    cases: Sequence[InputCase],
    out: Path,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Outcome:
    """Predicts `cases` into the folder `out` and keeps `out/quality.csv` up to date after each.

    Cases whose files and row exist are kept unless `overwrite`. `workers`: processes; 0 predicts in this one. What
    goes wrong with a case is in the outcome and in its row; a model that cannot be loaded raises InputError at once.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    predictor, report = settings.load(), progress or (lambda name: None)
    log.info("Predicting with %s.", predictor.describe())
    table = QualityTable(out / "quality.csv", columns(predictor.plans))
    outcome = Outcome(predictor.describe(), predictor.device, predictor.runs_per_fold)
    todo = []
    for case in cases:
        if not overwrite and _is_finished(case, table, out, predictor, settings):
            outcome.kept.append(case.output)
            report(case.name)
        else:
            todo.append(case)
    _warn_of_other_settings(outcome, table)
    for case, result in _results(settings, predictor, todo, out, min(workers, len(todo))):
        if isinstance(result, Exception):
            outcome.failures[case.name] = result
            result = {"case": case.name, "file": case.output, "flag": FAILED, "warnings": " ".join(str(result).split())}
        else:
            outcome.written.append(case.output)
        table.put(result)
        report(case.name)
    return outcome


def _results(
    settings: Settings, predictor: ImagePredictor, cases: list[InputCase], out: Path, workers: int
) -> Iterator[tuple[InputCase, Row | Exception]]:
    """The rows or errors in the order of the cases."""
    maps = settings.save_probabilities, settings.save_variance
    if workers == 0:
        for case in cases:
            yield case, _attempt(predict_case, predictor, case, out, *maps)
        return
    with worker_pool(workers) as pool:
        futures = [pool.submit(_predict_in_worker, settings, case, out) for case in cases]
        for case, future in zip(cases, futures, strict=True):
            yield case, _attempt(future.result)


def _attempt(function: Callable[..., Row], *arguments) -> Row | Exception:
    try:
        return function(*arguments)
    except InputError as error:
        return error
    except BrokenProcessPool:
        return InputError("a worker process was ended by the system, usually for lack of memory. Use fewer with -np.")
    except Exception as error:  # ours, or a library's: the other cases go on
        return error


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


def _warn_of_other_settings(outcome: Outcome, table: QualityTable) -> None:
    others = [name for name in outcome.kept if table.rows[name].get("made_with") != outcome.made_with]
    if others:
        log.warning(
            "%d outputs are kept that were made with other settings, such as %s (%s): --overwrite makes them again.",
            len(others),
            others[0],
            table.rows[others[0]].get("made_with"),
        )
