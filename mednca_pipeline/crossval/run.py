"""Cross-validation: trains what is missing of folds and models, then chooses postprocessing and compares the models."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..datasets.dataset import load_dataset
from ..inference.calibration import calibrate
from ..models.registry import MODELS
from ..plans.plans import Plans
from ..plans.splits import Fold
from ..runtime.errors import InputError
from ..training.schedule import parse_budget
from ..workspace import Workspace
from .choosing_postprocessing import update_postprocessing
from .collect import ModelResults, collect_results
from .comparison_files import write_comparison
from .ensemble_folds import Ensemble, update_ensemble
from .jobs import FoldJob, JobOutcome
from .missing import Missing
from .options import CrossvalOptions
from .run_jobs import run_jobs
from .watching import SILENT, CrossvalWatch
from .work import find_work

log = logging.getLogger(__name__)


OnEnd = Callable[[FoldJob, JobOutcome], None]


@dataclass
class CrossvalResult:
    """trained: every job that ended, with how. failed: {name of the fold or model: reason}. ours: whether a failure is
    a fault of ours. files: the comparison's, empty when no fold is finished.
    """

    trained: list[tuple[FoldJob, JobOutcome]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    files: tuple[Path, ...] = ()
    models: tuple[ModelResults, ...] = ()

    def add(self, job: FoldJob, outcome: JobOutcome) -> None:
        self.trained.append((job, outcome))
        if outcome.state == "failed":
            self.failed[job.name] = outcome.error
            self.ours |= outcome.fault == "ours"


def crossvalidate(
    workspace: Workspace,
    options: CrossvalOptions,
    on_end: OnEnd = lambda job, outcome: None,
    watch: CrossvalWatch = SILENT,
) -> CrossvalResult:
    """Trains the folds that are not finished, then writes postprocessing.json per model and comparison.*.

    First the models whose number of iterations is not known yet are timed, each on its first missing fold; then all
    missing folds are trained. on_end: called after each job. watch: hears how far they are. Raises InputError before
    anything is trained, as find_work does, and KeyboardInterrupt when stopped; what is trained by then stays, and the
    next call goes on.
    """
    work = find_work(workspace, options)
    plans, splits, missing = work.plans, work.splits, work.missing
    result = CrossvalResult()
    counts = _timed(missing, options, result, on_end, watch)

    def trained(job: FoldJob, outcome: JobOutcome) -> None:
        result.add(job, outcome)
        on_end(job, outcome)

    planned = {} if options.budget else counts
    jobs = [job for each in missing for job in each.jobs(counts.get(each.name), planned.get(each.name))]
    run_jobs(jobs, options.where, trained, watch)
    watch.concludes(len(work.folds) * len(missing))
    if options.ensemble:
        names = tuple(f"{model}_{work.config}" for model in MODELS if model in options.models)
        try:
            update_ensemble(workspace, plans, splits, Ensemble(names, options.device, options.command), watch)
        except InputError as error:
            result.failed[" + ".join(names)] = str(error)
    result.models = tuple(conclude(workspace, plans, splits))
    if any(results.folds for results in result.models):
        folder = workspace.results_folder(plans.dataset)
        result.files = tuple(write_comparison(folder, plans.dataset, result.models, options.command, plans.labels))
    return result


def conclude(workspace: Workspace, plans: Plans, splits: Sequence[Fold]) -> list[ModelResults]:
    """Chooses the postprocessing and quality thresholds of every model of a dataset, and returns their results."""
    raw = load_dataset(workspace.raw_folder(plans.dataset))
    references = {case.name: case.label for case in raw.training if case.label}
    models = []
    for results in collect_results(workspace.results_folder(plans.dataset), splits, plans):
        if results.folds and not results.members:
            try:
                results = replace(results, postprocessing=update_postprocessing(results, references, plans))
            except InputError as error:  # the tables need the summaries alone
                note = f"the postprocessing of {results.name} was not chosen anew: {error}"
                results = replace(results, notes=(*results.notes, note))
            calibrate(results.folder)
        models.append(results)
    return models


def _timed(
    missing: Sequence[Missing], options: CrossvalOptions, result: CrossvalResult, on_end: OnEnd, watch: CrossvalWatch
) -> dict[str, int]:
    """How many iterations fit the budget, per model that needs to know it; a model whose timing failed is absent."""
    budget_s, counts = parse_budget(options.budget) if options.budget else None, {}
    for each in missing:
        if budget_s and each.new and each.iterations:
            log.warning(
                "--budget does nothing for %s: its folds share the %d iterations of those that are there.",
                *(each.name, each.iterations),
            )

    def timed(job: FoldJob, outcome: JobOutcome) -> None:
        if outcome.state == "done" and outcome.iterations:
            counts[job.record.name] = outcome.iterations
            log.info("%s: all folds are trained for %d iterations", job.record.name, outcome.iterations)
            return
        result.add(job, outcome)
        on_end(job, outcome)

    first = [each.new[0] for each in missing if each.needs_timing]
    run_jobs([replace(job, action="time", budget_s=budget_s) for job in first], options.where, timed, watch)
    return counts
