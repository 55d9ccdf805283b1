"""Cross-validation: trains what is missing of folds and models, then chooses postprocessing and compares the models."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..datasets.dataset import load_dataset
from ..device import choose_device
from ..evaluation.postprocessing import FILE as POSTPROCESSING
from ..evaluation.postprocessing import Postprocessing, choose_postprocessing, postprocessed_metrics, raw_sha256
from ..evaluation.report import write_comparison
from ..evaluation.results import ModelResults, collect_results, is_finished, other_plans, other_splits, read_run
from ..evaluation.summary import label_files
from ..fingerprint.leakage import workspace_splits
from ..inference.calibration import calibrate
from ..models.registry import COMPARED, MODELS, read_plans
from ..plans.plans import Plans
from ..plans.splits import Fold
from ..processes import augmenting_workers, cores
from ..runtime.errors import InputError
from ..runtime.files import write_json
from ..workspace import Workspace
from .ensemble import update_ensemble
from .fold_jobs import FoldJob, Outcome, run_jobs
from .schedule import parse_budget

log = logging.getLogger(__name__)
TRAIN_COMMAND = (sys.executable, "-m", "mednca_pipeline.cli.train")


@dataclass(frozen=True)
class CrossvalOptions:
    """What a user asks of a cross-validation. folds None: all. budget: a time such as "15min"; without it and
    `iterations` the plan's schedule. command: the command line, quoted in the tables. workers: -np of each training.
    ensemble: also the mean of `models`, of each fold that all of them have finished.
    """

    dataset: str
    models: tuple[str, ...] = COMPARED
    config: str | None = None
    folds: tuple[int, ...] | None = None
    budget: str | None = None
    iterations: int | None = None
    jobs: int = 1
    device: str = "auto"
    seed: int = 0
    workers: int | None = None
    quiet: bool = False
    ensemble: bool = False
    command: str = "mednca_crossval"
    train_command: tuple[str, ...] = TRAIN_COMMAND

    def __post_init__(self) -> None:
        if self.budget is not None and self.iterations is not None:
            raise InputError("--budget and --iterations exclude each other: give one of them.")
        if self.budget is not None:
            parse_budget(self.budget)
        if self.jobs < 1:
            raise InputError(f"--jobs {self.jobs}: expected at least 1.")
        if self.ensemble and len(set(self.models)) < 2:
            raise InputError(f"--ensemble averages several models, found {', '.join(self.models)} in --models.")


@dataclass(frozen=True)
class CrossvalResult:
    """failed: {name of the fold or model: reason}. files: the comparison's, empty when no fold is finished."""

    trained: tuple[Outcome, ...]
    failed: dict[str, str]
    codes: tuple[int, ...]  # exit codes of the failed trainings; 2 for models and ensembles that were refused
    files: tuple[Path, ...]
    models: tuple[ModelResults, ...]


def crossvalidate(
    workspace: Workspace, options: CrossvalOptions, on_end: Callable[[Outcome], None] = lambda outcome: None
) -> CrossvalResult:
    """Trains the folds that are not finished, then writes postprocessing.json per model and comparison.*.

    on_end: called after each training. Raises InputError for a fold, model or configuration that does not exist, and
    KeyboardInterrupt when stopped; what is trained by then stays, and the next call goes on.
    """
    dataset = workspace.resolve(options.dataset)
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config(options.config).name
    splits = _splits(workspace, dataset)
    folds = _chosen_folds(options.folds, len(splits))
    jobs, failed = [], {}
    for model in dict.fromkeys(options.models):
        plans.config(config).model(model)  # raises InputError for an unknown model
        try:
            jobs += missing_jobs(workspace, plans, splits, model, config, folds, options.iterations)
        except InputError as error:
            failed[f"{model}_{config}"] = str(error)
    codes = [2] * len(failed)
    commands = TrainCommands(workspace, dataset, options, jobs)
    outcomes = run_jobs(jobs, options.jobs, commands, on_end)
    failures = [outcome for outcome in outcomes if outcome.code]
    failed |= {outcome.job.name: outcome.reason or f"exit code {outcome.code}" for outcome in failures}
    codes += [outcome.code for outcome in failures]
    if options.ensemble:
        names = tuple(f"{model}_{config}" for model in MODELS if model in options.models)
        try:
            update_ensemble(workspace, plans, splits, names, options.device, options.command)
        except InputError as error:
            failed[" + ".join(names)] = str(error)
            codes.append(2)
    models = conclude(workspace, plans, splits)
    files: list[Path] = []
    if any(results.folds for results in models):
        files = write_comparison(workspace.results_folder(dataset), dataset, models, options.command)
    return CrossvalResult(tuple(outcomes), failed, tuple(codes), tuple(files), tuple(models))


def missing_jobs(
    workspace: Workspace,
    plans: Plans,
    splits: Sequence[Fold],
    model: str,
    config: str,
    folds: Sequence[int],
    iterations: int | None,
) -> list[FoldJob]:
    """The folds of a model that are not finished.

    Raises InputError when the model folder holds a fold of other plans or splits, or of another number of iterations
    than asked.
    """
    digest = plans.digest(config, model)
    folder = workspace.model_folder(plans.dataset, model, config)
    runs = {path.name: read_run(path) for path in sorted(folder.glob("fold_*")) if (path / "run.json").is_file()}
    for what, stale in (("plans", other_plans(runs, digest)), ("splits", other_splits(runs, splits))):
        if stale:
            raise InputError(
                f"{folder} holds {', '.join(stale)} of other {what} than the present {what}.json. Results of "
                f"different {what} are never mixed: move that folder away, or plan as before."
            )
    jobs = []
    for fold in folds:
        fold_folder = workspace.fold_folder(plans.dataset, model, config, fold)
        run, resumable = runs.get(fold_folder.name), (fold_folder / "checkpoint.pt").is_file()
        if run and iterations and (resumable or run["finished"]) and run["iterations"] != iterations:
            raise InputError(
                f"{fold_folder} was trained for {run['iterations']} iterations, --iterations asks for {iterations}: "
                "all folds of a model share one count. Leave --iterations out to go on with that count, or move "
                f"{folder} away."
            )
        if is_finished(fold_folder):
            log.info("%s_%s fold %s is finished", model, config, fold)
            continue
        action = "validate" if run and run["finished"] else "continue" if resumable else "new"
        jobs.append(FoldJob(model, config, fold, fold_folder, action))
    return jobs


class TrainCommands:
    """The command line of each training; makes the folds of a model wait until the count of iterations is known.

    The first new fold of a model is given the budget and turns it into iterations; its run.json says how many, and
    all others are given that count.
    """

    def __init__(self, workspace: Workspace, dataset: str, options: CrossvalOptions, jobs: Sequence[FoldJob]) -> None:
        self._root, self._dataset, self._options = workspace.root, dataset, options
        self._counts: dict[str, int] = {}
        self._pilots: dict[str, FoldJob] = {}
        self._stale_runs: dict[str, int | None] = {}
        for job in jobs:
            self._counts |= _known_count(job) if not options.iterations else {_key(job): options.iterations}

    def __call__(self, job: FoldJob, running: Sequence[FoldJob]) -> list[str] | None:
        """The command of `job`, or None while its model's pilot has not yet counted."""
        if job.action == "continue":
            return self._command(job, ["--continue"])
        if job.action == "validate":
            return self._command(job, ["--val"])
        key = _key(job)
        if key not in self._counts and key in self._pilots:
            self._read_pilot(key)
            if key not in self._counts and self._pilots[key] in running:
                return None
        if key in self._counts:
            if self._options.budget and key not in self._pilots:
                log.warning(
                    "--budget does nothing for %s: its folds share the %d iterations of those that are there.",
                    *(key, self._counts[key]),
                )
                self._pilots[key] = job  # said once
            return self._command(job, ["--iterations", str(self._counts[key])])
        self._pilots[key], self._stale_runs[key] = job, _modified_ns(job)
        return self._command(job, ["--budget", self._options.budget] if self._options.budget else [])

    def _read_pilot(self, key: str) -> None:
        pilot = self._pilots[key]
        if _modified_ns(pilot) in (None, self._stale_runs[key]):
            return
        iterations = read_run(pilot.folder)["iterations"]
        if iterations:  # 0 until the pilot has timed itself
            self._counts[key] = iterations
            log.info("%s: all folds are trained for %d iterations", key, self._counts[key])

    def _command(self, job: FoldJob, schedule: list[str]) -> list[str]:
        options = self._options
        command = [*options.train_command, self._dataset, str(job.fold), "--root", str(self._root)]
        command += ["--model", job.model, "--config", job.config, "--device", options.device, *schedule]
        command += ["--seed", str(options.seed)]
        workers = options.workers
        if options.jobs > 1:
            share = max(1, cores() // options.jobs)
            workers = augmenting_workers(share, choose_device(options.device).type) if workers is None else workers
            command += ["--threads", str(max(1, share - workers))]
        if workers is not None:
            command += ["-np", str(workers)]
        return command + (["--quiet"] if options.quiet else [])


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


def update_postprocessing(results: ModelResults, references: dict[str, Path], plans: Plans) -> Postprocessing:
    """Writes postprocessing.json into the model folder, unless it is newer than the folds, and returns what it says."""
    file = results.folder / POSTPROCESSING
    newest = max((result.folder / "summary.json").stat().st_mtime_ns for result in results.folds)
    if _is_up_to_date(results, plans) and file.stat().st_mtime_ns > newest:
        return results.postprocessing
    predictions: dict[str, Path] = {}
    for result in results.folds:
        predictions |= label_files(result.folder / "validation")
    cases = results.raw_cases
    missing = sorted(set(cases) - set(predictions))
    if missing:
        raise InputError(f"expected a label file of every validation case, found none of {', '.join(missing[:5])}")
    log.info("%s: choosing the postprocessing on %d out-of-fold cases", results.name, len(cases))
    predictions = {case: predictions[case] for case in cases}
    components, evidence = choose_postprocessing(predictions, references, plans.labels, plans.components)
    metrics = {
        case: postprocessed_metrics(
            path, references[case], cases[case]["classes"], components, plans.labels, plans.spacing_known
        )
        for case, path in predictions.items()
    }
    folds = tuple(result.fold for result in results.folds)
    chosen = Postprocessing(components, evidence, folds, results.folds[0].run["digest"], metrics, raw_sha256(cases))
    write_json(file, chosen)
    return chosen


def _is_up_to_date(results: ModelResults, plans: Plans) -> bool:
    """Whether postprocessing.json is of these folds, and was chosen among what the plan proposes now."""
    stored = results.postprocessing
    if stored is None or not results.is_measured or stored.folds != tuple(result.fold for result in results.folds):
        return False
    tried = {name: entry["components"] for name, entry in stored.evidence.items()}
    return tried == {name: plans.components.get(name, 1) for name in plans.labels.names}


def _splits(workspace: Workspace, dataset: str) -> tuple[Fold, ...]:
    cases = [case.name for case in load_dataset(workspace.raw_folder(dataset)).training]
    return workspace_splits(workspace, dataset, cases)


def _chosen_folds(folds: Sequence[int] | None, n_folds: int) -> tuple[int, ...]:
    chosen = tuple(range(n_folds)) if folds is None else tuple(dict.fromkeys(folds))
    wrong = [fold for fold in chosen if fold not in range(n_folds)]
    if wrong:
        raise InputError(f"--folds: expected numbers from 0 to {n_folds - 1}, found {', '.join(map(str, wrong))}.")
    return chosen


def _key(job: FoldJob) -> str:
    return f"{job.model}_{job.config}"


def _known_count(job: FoldJob) -> dict[str, int]:
    """{model: iterations} of those folds of a job's model that are finished or have a checkpoint; {} without any."""
    counts = []
    for folder in sorted(job.folder.parent.glob("fold_*")):
        run = read_run(folder)
        if folder.name != "fold_all" and run and (run["finished"] or (folder / "checkpoint.pt").is_file()):
            counts.append(run["iterations"])
    if len(set(counts)) > 1:
        log.warning("The folds of %s were trained for different numbers of iterations: %s.", _key(job), counts)
    return {_key(job): Counter(counts).most_common(1)[0][0]} if counts else {}


def _modified_ns(job: FoldJob) -> int | None:
    file = job.folder / "run.json"
    return file.stat().st_mtime_ns if file.is_file() else None
