"""What is missing of a model: folds to train or to validate, and for how many iterations."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..plans.plans import Plans
from ..plans.splits import Fold
from ..results.model_folder import ModelFolder
from ..runtime.errors import InputError
from ..workspace import Workspace
from .jobs import FoldJob

log = logging.getLogger(__name__)
BEGUN = ("running", "resumable", "trained", "validated")  # states in which a fold has its number of iterations


@dataclass(frozen=True)
class Missing:
    """name: of the model's folder. new: jobs of folds without an iteration yet. begun: of folds that go on or are only
    validated. iterations: of each new fold; None where they have to be timed first. planned: of the plan's schedule, as
    other folds know it.
    """

    name: str
    new: tuple[FoldJob, ...]
    begun: tuple[FoldJob, ...]
    iterations: int | None
    planned: int | None = None

    @property
    def needs_timing(self) -> bool:
        return bool(self.new) and self.iterations is None

    def jobs(self, iterations: int | None, planned: int | None = None) -> list[FoldJob]:
        """In the folds' order; without the new ones where their number of iterations is not known."""
        count, planned = self.iterations or iterations, self.planned or planned
        new = [replace(job, iterations=count, planned_iterations=planned) for job in self.new] if count else []
        return sorted([*new, *self.begun], key=lambda job: job.fold)


def find_missing(
    workspace: Workspace, plans: Plans, splits: Sequence[Fold], template: FoldJob, folds: Sequence[int]
) -> Missing:
    """template: a job of the model, whose `iterations` are those that were asked for, or None.

    Raises InputError when the model folder holds a fold of other plans or splits, or of another number of iterations
    than asked for.
    """
    folder = ModelFolder.of(workspace.results_folder(plans.dataset), template.record)
    folder.require_same_origin(plans.digest(template.config, template.model), [fold.digest for fold in splits])
    states = {number: folder.fold(number).state() for number in range(len(splits))}
    begun_runs = {number: folder.fold(number).run() for number, state in states.items() if state in BEGUN}
    counts = {number: run.iterations for number, run in begun_runs.items() if run}
    _require_count(folder, {number: counts[number] for number in folds if number in counts}, template.iterations)
    new: list[FoldJob] = []
    begun: list[FoldJob] = []
    for number in folds:
        if states[number] == "validated":
            log.info("%s fold %d is finished", template.record.name, number)
        else:
            (begun if number in counts else new).append(replace(template, fold=number, iterations=None))
    known = template.iterations or _common(counts, template.record.name)
    planned = next((run.planned_iterations for run in begun_runs.values() if run and run.planned_iterations), None)
    return Missing(template.record.name, tuple(new), tuple(begun), known, planned)


def _require_count(folder: ModelFolder, counts: Mapping[int, int | None], asked: int | None) -> None:
    for number, count in counts.items():
        if asked and count != asked:
            raise InputError(
                folder.fold(number).path,
                f"a training of {asked} iterations, as --iterations asks",
                f"one of {count}; all folds of a model share one count",
                f"Leave --iterations out to go on with {count}, or move {folder.path} away.",
            )


def _common(counts: Mapping[int, int | None], name: str) -> int | None:
    """The number of iterations of most folds."""
    most = Counter(counts.values()).most_common(1)[0][0] if counts else None
    if len(set(counts.values())) > 1:
        each = ", ".join(f"fold {fold}: {count}" for fold, count in sorted(counts.items()))
        others = " and ".join(f"fold {fold}" for fold, count in sorted(counts.items()) if count != most)
        log.warning(
            "The folds of %s were trained for different numbers of iterations (%s). Missing ones get %s, as most have; "
            "mednca_train --force --iterations %s trains %s again.",
            *(name, each, most, most, others),
        )
    return most
