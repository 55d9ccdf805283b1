"""All inputs of a command, one after the other or in worker processes; one bad input never stops the others."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..execution.work import Task, run_in_order
from ..results.fold_folder import FoldName
from ..runtime.errors import InputError
from ..runtime.listing import listed
from ..runtime.printing import printable
from ..runtime.quality import Standing
from ..runtime.temporary import tidy_once
from .cases import map_files
from .combination import Combination
from .inputs import InputCase
from .made_from import MadeFrom, Recipe, predict_and_record, recipe_of
from .options import PredictionOptions
from .prediction import ImagePredictor
from .predictor import Predictor
from .quality_table import QualityTable, Row, columns
from .trained_model import open_model

log = logging.getLogger(__name__)
FAILED = "failed"  # the flag of an input without output
VOXELS = (".raw", ".zraw")  # beside a .mhd header


@dataclass(frozen=True, kw_only=True)
class Settings(PredictionOptions):
    """What is predicted with, how, and what is saved. Hashable: a worker process loads its own predictor from it.

    model_folders: folders or bundles; several are averaged. folds: of each; None for all finished ones.
    """

    model_folders: tuple[Path, ...]
    folds: tuple[FoldName, ...] | None = None
    save_probabilities: bool = False
    save_variance: bool = False

    @property
    def maps(self) -> tuple[bool, bool]:
        return self.save_probabilities, self.save_variance

    def recipe(self, predictor: ImagePredictor) -> Recipe:
        """predictor: as loaded from these settings."""
        return recipe_of(
            [open_model(path) for path in self.model_folders],
            self.folds,
            predictor.components,
            runs_per_fold=predictor.runs_per_fold,
            seed=self.seed,
            everywhere=self.everywhere,
            quality=self.quality,
        )

    def load(self) -> ImagePredictor:
        predictors = [Predictor.from_model(open_model(path), self.folds, self) for path in self.model_folders]
        return predictors[0] if len(predictors) == 1 else Combination(predictors, self.postprocess)


@dataclass
class Predicted:
    """Files written and kept (finished before), what went wrong by case name, and what it was done with.

    again: why files that were finished before were made again. flags: of all, by case name. standing: how good the
    model was in validation. others: outputs in quality.csv that none of these inputs has.
    """

    made_with: str
    device: str
    runs_per_fold: int
    standing: Standing = Standing()
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    again: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def predict_inputs(
    settings: Settings,
    cases: Sequence[InputCase],
    out: Path,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> Predicted:
    """Predicts `cases` into the folder `out` and keeps `out/quality.csv` up to date after each.

    Cases that were made from the same input with the same weights and settings are kept unless `overwrite`. A file
    that this command did not write, or that was changed since, is its case's failure and stays. executor: whose workers
    share the work; None: this process does it. What goes wrong with a case is in `failures` and in its row; a model
    that cannot be loaded raises InputError at once.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tidy_once(out)
    predictor = settings.load()
    log.info("Predicting with %s.", predictor.describe())
    table = QualityTable(out / "quality.csv", columns(predictor.plans))
    predicted = Predicted(predictor.describe(), predictor.device, predictor.runs_per_fold, predictor.standing)
    records, recipe = MadeFrom(out), settings.recipe(predictor)
    todo = []
    for case in cases:
        names = _file_names(case, predictor, settings)
        hashes = {} if overwrite else records.present_hashes(case.output)
        problem = _name_problem(case) or records.foreign_file(
            case.output, names, hashes, _has_row(case, table), overwrite
        )
        why = "" if overwrite else _why_to_do(case, names, hashes, table, records, recipe)
        if problem is None and why is not None:
            todo.append(case)
            if why:
                predicted.again[case.output] = why
            continue
        if problem:
            predicted.failures[case.name] = problem
        else:
            predicted.kept.append(case.output)
        progress(case.name)
    _say_why(predicted, records)
    tasks = _tasks(settings, predictor, todo, out, recipe, here=executor is None)
    for case, outcome in zip(todo, run_in_order(tasks, executor), strict=True):
        if outcome.error is None:
            predicted.written.append(case.output)
            table.put(outcome.value)
        else:
            predicted.failures[case.name] = outcome.error
            table.put(_failed_row(case, outcome.error))
        progress(case.name)
    predicted.flags = {
        case.name: table.row(case.output)["flag"] for case in cases if case.name not in predicted.failures
    }
    predicted.others = sorted(table.rows.keys() - {printable(case.output) for case in cases})
    return predicted


def _tasks(
    settings: Settings, predictor: ImagePredictor, cases: Sequence[InputCase], out: Path, recipe: Recipe, here: bool
) -> list[Task]:
    """A worker loads its own predictor; here the one that is loaded predicts."""
    if here:
        return [Task(case.name, predict_and_record, (predictor, case, out, recipe, settings.maps)) for case in cases]
    return [Task(case.name, _predict_in_worker, (settings, case, out, recipe)) for case in cases]


def _failed_row(case: InputCase, error: Exception) -> Row:
    return {"case": case.name, "file": case.output, "flag": FAILED, "warnings": " ".join(str(error).split())}


def _predict_in_worker(settings: Settings, case: InputCase, out: Path, recipe: Recipe) -> Row:
    return predict_and_record(_worker_predictor(settings), case, out, recipe, settings.maps)


@lru_cache(maxsize=1)
def _worker_predictor(settings: Settings) -> ImagePredictor:
    return settings.load()


def _file_names(case: InputCase, predictor: ImagePredictor, settings: Settings) -> list[str]:
    """Of all that is written for a case: its label file, its maps, and the voxels of a header."""
    maps = map_files(predictor, case, settings.save_probabilities, settings.save_variance)
    names = [case.output, *maps.values()]
    headers = [Path(name) for name in names if name.endswith(".mhd")]
    return [*names, *(header.with_suffix(ending).name for header in headers for ending in VOXELS)]


def _why_to_do(
    case: InputCase, names: list[str], hashes: dict[str, str], table: QualityTable, records: MadeFrom, recipe: Recipe
) -> str | None:
    """Why a case is predicted: "" where it is not finished; None where it is, and stays."""
    if not _has_row(case, table) or case.problem:
        return ""
    output, needed = records.outputs.get(case.output), {name for name in names if not name.endswith(VOXELS)}
    if output is None:  # of an earlier version
        return None if all((records.out / name).is_file() for name in needed) else ""
    finished = hashes == output.files and table.row(case.output).get("sha256") == output.files[case.output]
    if not finished or not needed <= set(output.files):
        return ""
    return records.reason_to_repeat(case, recipe) or None


def _has_row(case: InputCase, table: QualityTable) -> bool:
    return table.row(case.output).get("flag", FAILED) != FAILED


def _name_problem(case: InputCase) -> InputError | None:
    """A name that tables and other programs cannot hold."""
    try:
        case.output.encode()
    except UnicodeEncodeError:
        return InputError(case.files[0], "a name in UTF-8", "other bytes", "Rename it.")
    return None


def _say_why(predicted: Predicted, records: MadeFrom) -> None:
    by_reason: dict[str, list[str]] = {}
    for name, reason in predicted.again.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        log.info("Made again: %s (%s).", listed(names), reason)
    unknown = [name for name in predicted.kept if name not in records.outputs]
    if unknown:
        log.warning(
            "%d outputs of an earlier version are kept, such as %s. It did not note what they were made from: "
            "--overwrite makes them again.",
            *(len(unknown), unknown[0]),
        )
