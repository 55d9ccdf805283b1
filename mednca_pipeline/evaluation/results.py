"""Reads what the folds of each trained model left in results/<dataset>, and names what must not be averaged."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..models.registry import MODELS, read_plans
from ..plans.plans import Plans, describe_components
from ..plans.splits import Fold
from ..runtime.errors import InputError
from ..runtime.files import read_json
from .postprocessing import Postprocessing, raw_sha256, read_postprocessing
from .summary import raw_metrics, read_summary

RUN_SCHEMA = 1
_MEND = "move the model's folder away and train it again"


@dataclass(frozen=True)
class FoldResult:
    """A finished fold: its number, run.json and summary.json."""

    fold: int
    folder: Path
    run: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True)
class ModelResults:
    """The finished folds of one model and configuration that were trained with the same plans.

    expected: all folds of the splits. notes: what was left out, and why, as sentences. postprocessing: what
    mednca_predict applies by default where a cross-validation chose it, else None, and it applies the plan's. members:
    names of the models of which this is the mean; () for a model.
    """

    name: str
    folder: Path
    folds: tuple[FoldResult, ...]
    expected: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())
    postprocessing: Postprocessing | None = None
    members: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """Folds of the splits that are not among `folds`."""
        present = {result.fold for result in self.folds}
        return tuple(fold for fold in self.expected if fold not in present)

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        """The cases of all folds: {case: entry of summary.json}, measured as mednca_predict writes them by default."""
        if not self.is_measured:
            return self._validated
        measured = self.postprocessing.metrics
        return {case: {**entry, "classes": measured[case]} for case, entry in self._validated.items()}

    @property
    def raw_cases(self) -> dict[str, dict[str, Any]]:
        """The same before any component was removed."""
        return {case: {**entry, "classes": raw_metrics(entry)} for case, entry in self._validated.items()}

    @property
    def is_measured(self) -> bool:
        """Whether every case, as validated now, was measured with the postprocessing chosen for the model."""
        return self.postprocessing is not None and self.postprocessing.raw_sha256 == raw_sha256(self.raw_cases)

    @property
    def kept(self) -> str:
        """Which components `cases` were measured with, such as "1 component of prostate"; "" for all."""
        if self.is_measured:
            return describe_components(self.postprocessing.components)
        each = [describe_components(result.summary.get("components", {})) for result in self.folds]
        return " or ".join(dict.fromkeys(filter(None, each)))

    @property
    def _validated(self) -> dict[str, dict[str, Any]]:
        return {case: entry for result in self.folds for case, entry in result.summary["cases"].items()}

    @property
    def units(self) -> dict[str, Any]:
        return self.folds[0].summary["units"]


def is_finished(fold_folder: Path) -> bool:
    """Whether a fold is trained to its end and evaluated: run.json says finished, and summary.json is there."""
    run = read_run(fold_folder)
    return bool(run and run.get("finished")) and (fold_folder / "summary.json").is_file()


def read_run(fold_folder: Path) -> dict[str, Any] | None:
    """The fold's run.json, or None when there is none. Raises InputError when it cannot be read."""
    file = fold_folder / "run.json"
    return read_json(file, schema=RUN_SCHEMA) if file.is_file() else None


def other_plans(runs: Mapping[str, Mapping[str, Any]], digest: str) -> list[str]:
    """Names of the folds ("fold_0") whose run.json has another digest of the plans."""
    return [name for name, run in runs.items() if run.get("digest") != digest]


def other_splits(runs: Mapping[str, Mapping[str, Any]], splits: Sequence[Fold]) -> list[str]:
    """Names of the numbered folds ("fold_0") that were trained on other cases than `splits` say, or are not in them."""
    known = {f"fold_{number}": fold.digest for number, fold in enumerate(splits)}
    return [name for name, run in runs.items() if name != "fold_all" and run.get("split") != known.get(name)]


def collect_results(results_folder: Path, splits: Sequence[Fold], plans: Plans | None = None) -> list[ModelResults]:
    """The results of every model folder `<model>_<config>` with a finished fold, in the registry's order, and then
    those of ensembles `<model>_<config>+<model>_<config>`.

    plans: the dataset's present ones; None for those kept in each model folder (without any: those of most folds).
    Folds trained with other plans, or on other cases than `splits` say, and folds that hold a case of another fold are
    left out and named in `notes`; so are folds of ensembles whose models are not as they were.
    """
    folders = [path for path in results_folder.iterdir() if path.is_dir()] if results_folder.is_dir() else []
    known = [folder for folder in folders if folder.name.rpartition("_")[0] in MODELS]
    known.sort(key=lambda folder: (folder.name.rpartition("_")[2], list(MODELS).index(folder.name.rpartition("_")[0])))
    collected = [_collect_model(folder, splits, plans) for folder in known]
    models = {results.name: results for results in collected}
    for folder in sorted(folders):
        members = folder.name.split("+")
        if len(members) > 1 and all(member.rpartition("_")[0] in MODELS for member in members):
            collected.append(_collect_ensemble(folder, members, models, len(splits)))
    return [results for results in collected if results.folds or results.notes]


def _collect_model(folder: Path, splits: Sequence[Fold], plans: Plans | None) -> ModelResults:
    notes: list[str] = []
    kept = _of_same_plans(folder, _finished_folds(folder, len(splits), notes), plans, notes)
    kept = _with_own_cases(folder, _of_same_splits(folder, kept, splits, notes), notes)
    counts = {result.run.get("iterations") for result in kept}
    if len(counts) > 1:
        each = ", ".join(f"fold {result.fold}: {result.run.get('iterations')}" for result in kept)
        notes.append(f"the folds of {folder.name} were trained for different numbers of iterations ({each})")
    chosen = None
    try:
        chosen = read_postprocessing(folder, kept[0].run["digest"]) if kept else None
    except InputError as error:
        notes.append(f"the postprocessing of {folder.name} is not used: {error}")
    return ModelResults(folder.name, folder, tuple(kept), tuple(range(len(splits))), tuple(notes), chosen)


def _finished_folds(folder: Path, n_folds: int, notes: list[str]) -> list[FoldResult]:
    finished = []
    for fold in range(n_folds):
        fold_folder = folder / f"fold_{fold}"
        try:
            if is_finished(fold_folder):
                summary = read_summary(fold_folder / "summary.json")
                finished.append(FoldResult(fold, fold_folder, read_run(fold_folder), summary))
        except InputError as error:
            notes.append(f"fold {fold} of {folder.name} is left out: {error}")
    return finished


def members_of(models: Sequence[ModelResults], fold: int) -> dict[str, FoldResult]:
    """The models' results of one fold, by model; those that have not finished it are absent."""
    return {each.name: result for each in models for result in each.folds if result.fold == fold}


def run_digests(members: Mapping[str, FoldResult]) -> dict[str, str]:
    """Per model a digest of its fold's run.json: another one means that the fold was trained again."""
    texts = {name: json.dumps(result.run, sort_keys=True) for name, result in members.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def _collect_ensemble(
    folder: Path, members: Sequence[str], models: Mapping[str, ModelResults], n_folds: int
) -> ModelResults:
    present = [models[name] for name in members if name in models]
    name, notes, kept = " + ".join(members), [], []
    for result in _finished_folds(folder, n_folds, notes):
        if result.run.get("members") == run_digests(members_of(present, result.fold)):
            kept.append(result)
        else:
            notes.append(
                f"fold {result.fold} of {name} is left out: its models are not those that were averaged; "
                "mednca_crossval --ensemble averages them again"
            )
    return ModelResults(name, folder, tuple(kept), tuple(range(n_folds)), tuple(notes), members=tuple(members))


def _of_same_plans(folder: Path, finished: list[FoldResult], plans: Plans | None, notes: list[str]) -> list[FoldResult]:
    model, _, config = folder.name.rpartition("_")
    if plans is None:
        expected = current_digest(folder)
    else:
        expected = plans.digest(config, model) if config in plans.configs else None
    if plans is None and expected is None and finished:
        expected = Counter(result.run.get("digest") for result in finished).most_common(1)[0][0]
    for result in finished:
        found = result.run.get("digest")
        if found != expected:
            notes.append(
                f"fold {result.fold} of {folder.name} is left out: it was trained with other plans "
                f"(digest {found}, expected {expected}); {_MEND}"
            )
    return [result for result in finished if result.run.get("digest") == expected]


def current_digest(folder: Path) -> str | None:
    """Digest of the plans kept in a model folder `<model>_<config>`, or None when there are none."""
    if not (folder / "plans.json").is_file():
        return None
    model, _, config = folder.name.rpartition("_")
    return read_plans(folder / "plans.json").digest(config, model)


def _of_same_splits(
    folder: Path, finished: list[FoldResult], splits: Sequence[Fold], notes: list[str]
) -> list[FoldResult]:
    others = other_splits({f"fold_{result.fold}": result.run for result in finished}, splits)
    for name in others:
        notes.append(
            f"{name.replace('_', ' ')} of {folder.name} is left out: it was trained on other cases than the present "
            f"splits.json says; {_MEND}"
        )
    return [result for result in finished if f"fold_{result.fold}" not in others]


def _with_own_cases(folder: Path, finished: list[FoldResult], notes: list[str]) -> list[FoldResult]:
    """Splits may validate a case in two folds; a mean over cases counts it once."""
    seen: dict[str, int] = {}
    kept = []
    for result in finished:
        shared = sorted(set(result.summary["cases"]) & set(seen))
        if shared:
            notes.append(
                f"fold {result.fold} of {folder.name} is left out: case {shared[0]} is also in fold {seen[shared[0]]}"
            )
            continue
        seen |= dict.fromkeys(result.summary["cases"], result.fold)
        kept.append(result)
    return kept
