"""Cross-validation: trains what is missing of folds and models, then chooses postprocessing and compares the models."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..datasets.dataset import load_dataset
from ..fingerprint.leakage import workspace_splits
from ..inference.calibration import calibrate
from ..models.registry import COMPARED, MODELS, read_plans
from ..plans.plans import Plans
from ..plans.splits import Fold
from ..runtime.errors import InputError
from ..training.schedule import parse_budget
from ..workspace import Workspace
from .choosing_postprocessing import update_postprocessing
from .collect import ModelResults, collect_results
from .comparison_files import write_comparison
from .ensemble_folds import Ensemble, update_ensemble
from .jobs import RUNNER, FoldJob, JobOutcome
from .missing import Missing, find_missing
from .run_jobs import Where, run_jobs
from .watching import SILENT, CrossvalWatch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossvalOptions:
    """What a user asks of a cross-validation. folds None: all. budget: a time such as "15min"; without it and
    `iterations` the plan's schedule. jobs: trainings at once on one machine. cluster: address of a Dask scheduler whose
    workers train. command: the command line, noted with each fold and quoted in the tables. workers: -np of each
    training. ensemble: also the mean of `models`, of each fold that all of them have finished. runner: what Python runs
    a job with.
    """

    dataset: str
    models: tuple[str, ...] = COMPARED
    config: str | None = None
    folds: tuple[int, ...] | None = None
    budget: str | None = None
    iterations: int | None = None
    jobs: int = 1
    cluster: str | None = None
    device: str = "auto"
    seed: int = 0
    workers: int | None = None
    quiet: bool = False
    ensemble: bool = False
    command: str = "mednca_crossval"
    runner: tuple[str, ...] = RUNNER

    def __post_init__(self) -> None:
        if self.budget is not None and self.iterations is not None:
            raise InputError("--budget and --iterations", "one of them", "both", "Leave one out.")
        if self.budget is not None:
            parse_budget(self.budget)
        if self.jobs < 1:
            raise InputError("--jobs", "at least 1", str(self.jobs))
        if self.ensemble and len(set(self.models)) < 2:
            raise InputError("--ensemble", "several models", ", ".join(self.models), "Name more with --models.")

    @property
    def where(self) -> Where:
        return Where(self.jobs, self.cluster, self.runner)


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
    missing folds are trained. on_end: called after each job. watch: hears how far they are. Raises InputError for a
    fold, model or configuration that does not exist, and KeyboardInterrupt when stopped; what is trained by then stays,
    and the next call goes on.
    """
    dataset = workspace.resolve(options.dataset)
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config(options.config).name
    cases = [case.name for case in load_dataset(workspace.raw_folder(dataset)).training]
    splits = workspace_splits(workspace, dataset, cases)
    folds = _chosen_folds(options.folds, len(splits))
    for model in options.models:
        plans.config(config).model(model)  # raises InputError for an unknown model
    result, missing = CrossvalResult(), []
    template = _template(workspace, dataset, config, options)
    for model in dict.fromkeys(options.models):
        try:
            missing.append(find_missing(workspace, plans, splits, replace(template, model=model), folds))
        except InputError as error:
            result.failed[f"{model}_{config}"] = str(error)
    counts = _timed(missing, options, result, on_end, watch)

    def trained(job: FoldJob, outcome: JobOutcome) -> None:
        result.add(job, outcome)
        on_end(job, outcome)

    planned = {} if options.budget else counts
    jobs = [job for each in missing for job in each.jobs(counts.get(each.name), planned.get(each.name))]
    run_jobs(jobs, options.where, trained, watch)
    watch.concludes(len(folds) * len(missing))
    if options.ensemble:
        names = tuple(f"{model}_{config}" for model in MODELS if model in options.models)
        try:
            update_ensemble(workspace, plans, splits, Ensemble(names, options.device, options.command))
        except InputError as error:
            result.failed[" + ".join(names)] = str(error)
    result.models = tuple(conclude(workspace, plans, splits))
    if any(results.folds for results in result.models):
        folder = workspace.results_folder(dataset)
        result.files = tuple(write_comparison(folder, dataset, result.models, options.command))
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


def _template(workspace: Workspace, dataset: str, config: str, options: CrossvalOptions) -> FoldJob:
    """What all jobs have in common."""
    return FoldJob(
        root=str(workspace.root.absolute()),
        dataset=dataset,
        model="",
        config=config,
        fold=0,
        iterations=options.iterations,
        seed=options.seed,
        device=options.device,
        workers=options.workers,
        share=options.jobs,
        command=options.command,
        quiet=options.quiet,
    )


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


def _chosen_folds(folds: Sequence[int] | None, n_folds: int) -> tuple[int, ...]:
    chosen = tuple(range(n_folds)) if folds is None else tuple(dict.fromkeys(folds))
    wrong = [fold for fold in chosen if fold not in range(n_folds)]
    if wrong:
        raise InputError("--folds", f"numbers from 0 to {n_folds - 1}", ", ".join(map(str, wrong)))
    return chosen
