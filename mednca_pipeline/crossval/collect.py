"""Reads what the folds of each trained model left in results/<dataset>, and names what must not be averaged."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..inference.calibration import present_digest
from ..models.registry import MODELS
from ..plans.plans import Plans, describe_components
from ..plans.splits import Fold
from ..results.fold_folder import FoldFolder
from ..results.model_folder import ModelFolder, ModelRecord, model_folders
from ..results.postprocessing import Postprocessing, raw_sha256
from ..results.run_record import RunRecord
from ..results.summary import CaseResult, Summary, SummaryUnits
from ..runtime.errors import InputError

UNEVEN = 0.5  # of another model's share of its schedule, below which an average is worth a note
_MEND = "move the model's folder away and train it again"


@dataclass(frozen=True)
class FoldResult:
    """A validated fold."""

    fold: int
    folder: FoldFolder
    run: RunRecord
    summary: Summary


@dataclass(frozen=True)
class Schedule:
    """How many iterations a training had, and how many the plan's schedule has on the machine that trained it."""

    done: int
    planned: int

    @property
    def share(self) -> float:
        return self.done / self.planned

    @property
    def percent(self) -> str:
        """Rounded down, so that what is short of a half is not called one."""
        return f"{math.floor(100 * self.share)} %"


@dataclass(frozen=True)
class ModelResults:
    """The finished folds of one model and configuration that were trained with the same plans.

    expected: all folds of the splits. notes: what was left out, and why, as sentences. postprocessing: what
    mednca_predict applies by default where a cross-validation chose it, else None, and it applies the plan's. members:
    names of the models of which this is the mean; () for a model.
    """

    name: str
    folder: ModelFolder
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
    def validated(self) -> dict[str, CaseResult]:
        """The cases of all folds, as the summaries have them."""
        return {case: entry for result in self.folds for case, entry in result.summary.cases.items()}

    @property
    def cases(self) -> dict[str, CaseResult]:
        """The cases of all folds, measured as mednca_predict writes them by default."""
        chosen, cases = self.measured_with, self.validated
        if chosen:
            return {case: replace(entry, classes=chosen.metrics[case]) for case, entry in cases.items()}
        return cases

    @property
    def measured_with(self) -> Postprocessing | None:
        """The postprocessing chosen for the model if every case, as validated now, was measured with it."""
        chosen = self.postprocessing
        return chosen if chosen and chosen.raw_sha256 == raw_sha256(self.validated) else None

    @property
    def kept(self) -> str:
        """Which components `cases` were measured with, such as "1 component of prostate"; "" for all."""
        if chosen := self.measured_with:
            return describe_components(chosen.components)
        each = [describe_components(result.summary.components or {}) for result in self.folds]
        return " or ".join(dict.fromkeys(filter(None, each)))

    @property
    def schedule(self) -> Schedule | None:
        """Of the fold that got the least of it; None for an ensemble, and where an earlier version trained a fold."""
        runs = [fold.run for fold in self.folds]
        if not runs or not all(run.iterations and run.planned_iterations for run in runs):
            return None
        each = [Schedule(run.iterations or 0, run.planned_iterations or 1) for run in runs]
        return min(each, key=lambda schedule: schedule.share)

    @property
    def units(self) -> SummaryUnits:
        return self.folds[0].summary.units


def collect_results(results: Path, splits: Sequence[Fold], plans: Plans | None = None) -> list[ModelResults]:
    """The results of every model below `results` with a finished fold, in the registry's order, then of ensembles.

    plans: the dataset's present ones; None for those kept in each model folder (without any: those of most folds).
    Folds trained with other plans, or on other cases than `splits` say, and folds that hold a case of another fold are
    left out and named in `notes`; so are folds of ensembles whose models are not as they were. Copies of a model's
    folder under other names are no part of the comparison.
    """
    records = ((folder, folder.record()) for folder in model_folders(results))
    found = [(folder, record) for folder, record in records if record and folder.path.name == record.name]
    models = [pair for pair in found if pair[1].model in MODELS]
    models.sort(key=lambda pair: (pair[1].config, list(MODELS).index(pair[1].model)))
    collected = [_collect_model(folder, record, splits, plans) for folder, record in models]
    known = {results.name: results for results in collected}
    for folder, record in found:
        if record.members and all(member.rpartition("_")[0] in MODELS for member in record.members):
            collected.append(_collect_ensemble(folder, record.members, known, len(splits)))
    return [results for results in collected if results.folds or results.notes]


def members_of(models: Sequence[ModelResults], fold: int) -> dict[str, FoldResult]:
    """The models' results of one fold, by model; those that have not finished it are absent."""
    return {each.name: result for each in models for result in each.folds if result.fold == fold}


def run_digests(members: Mapping[str, FoldResult]) -> dict[str, str]:
    """Per model a digest of its fold's run.json: another one means that the fold was trained again."""
    return {name: result.folder.run_digest() for name, result in members.items()}


def _collect_model(
    folder: ModelFolder, record: ModelRecord, splits: Sequence[Fold], plans: Plans | None
) -> ModelResults:
    name = record.name
    notes: list[str] = []
    kept = _of_same_plans(_validated_folds(folder, name, len(splits), notes), folder, record, plans, notes)
    kept = _with_own_cases(name, _of_same_splits(name, kept, splits, notes), notes)
    counts = {result.run.iterations for result in kept}
    if len(counts) > 1:
        each = ", ".join(f"fold {result.fold}: {result.run.iterations}" for result in kept)
        notes.append(f"the folds of {name} were trained for different numbers of iterations ({each})")
    digest, chosen = kept[0].run.digest if kept else None, None
    try:
        chosen = folder.postprocessing(digest) if digest else None
    except InputError as error:
        notes.append(f"the postprocessing of {name} is not used: {error}")
    return ModelResults(name, folder, tuple(kept), tuple(range(len(splits))), tuple(notes), chosen)


def _collect_ensemble(
    folder: ModelFolder, members: Sequence[str], models: Mapping[str, ModelResults], n_folds: int
) -> ModelResults:
    present = [models[name] for name in members if name in models]
    name, kept = " + ".join(members), []
    notes: list[str] = []
    for result in _validated_folds(folder, name, n_folds, notes):
        if result.run.members == run_digests(members_of(present, result.fold)):
            kept.append(result)
        else:
            notes.append(
                f"fold {result.fold} of {name} is left out: its models are not those that were averaged; "
                "mednca_crossval --ensemble averages them again"
            )
    notes += _uneven_notes(name, present)
    return ModelResults(name, folder, tuple(kept), tuple(range(n_folds)), tuple(notes), members=tuple(members))


def _uneven_notes(name: str, members: Sequence[ModelResults]) -> list[str]:
    """What the mean of models mixes: folds of different lengths, and models of which one got far less of its plan."""
    notes = []
    for member in members:
        counts = sorted({result.run.iterations or 0 for result in member.folds})
        if len(counts) > 1:
            each = " and ".join(f"{count:,}" for count in counts)
            notes.append(f"{name} averages folds of {member.name} that were trained for {each} iterations")
    known = {member.name: schedule for member in members if (schedule := member.schedule)}
    if known and min(each.share for each in known.values()) < UNEVEN * max(each.share for each in known.values()):
        shares = " and ".join(f"{model} got {schedule.percent}" for model, schedule in known.items())
        notes.append(f"{name} averages models of different training: {shares} of its planned schedule")
    return notes


def _validated_folds(folder: ModelFolder, name: str, n_folds: int, notes: list[str]) -> list[FoldResult]:
    found = []
    for number in range(n_folds):
        fold = folder.fold(number)
        try:
            if fold.is_validated() and (run := fold.run()):
                found.append(FoldResult(number, fold, run, fold.summary()))
        except InputError as error:
            notes.append(f"fold {number} of {name} is left out: {error}")
    return found


def _of_same_plans(
    finished: list[FoldResult], folder: ModelFolder, record: ModelRecord, plans: Plans | None, notes: list[str]
) -> list[FoldResult]:
    if plans is None:
        expected = present_digest(folder)
    else:
        expected = plans.digest(record.config, record.model) if record.config in plans.configs else None
    if plans is None and expected is None and finished:
        expected = Counter(result.run.digest for result in finished).most_common(1)[0][0]
    for result in finished:
        if result.run.digest != expected:
            notes.append(
                f"fold {result.fold} of {record.name} is left out: it was trained with other plans "
                f"(digest {result.run.digest}, expected {expected}); {_MEND}"
            )
    return [result for result in finished if result.run.digest == expected]


def _of_same_splits(
    name: str, finished: list[FoldResult], splits: Sequence[Fold], notes: list[str]
) -> list[FoldResult]:
    kept = [result for result in finished if result.run.split == splits[result.fold].digest]
    for result in finished:
        if result not in kept:
            notes.append(
                f"fold {result.fold} of {name} is left out: it was trained on other cases than the present splits.json "
                f"says; {_MEND}"
            )
    return kept


def _with_own_cases(name: str, finished: list[FoldResult], notes: list[str]) -> list[FoldResult]:
    """Splits may validate a case in two folds; a mean over cases counts it once."""
    seen: dict[str, int] = {}
    kept = []
    for result in finished:
        shared = sorted(set(result.summary.cases) & set(seen))
        if shared:
            notes.append(
                f"fold {result.fold} of {name} is left out: case {shared[0]} is also in fold {seen[shared[0]]}"
            )
            continue
        seen |= dict.fromkeys(result.summary.cases, result.fold)
        kept.append(result)
    return kept
