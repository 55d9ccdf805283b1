"""Trains one fold of one model: prepares, times, trains, validates, and writes what was done."""

import dataclasses
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mednca_runtime.errors import InputError
from mednca_runtime.files import read_json, write_json

from ..device import choose_device, peak_memory_bytes
from ..models.registry import build_model, count_parameters
from ..models.weights import load_weights, save_weights
from ..planning.plans import ConfigPlan, NCAPlan, Plans, UNetPlan, read_plans, write_plans
from ..planning.splits import read_splits
from ..preprocessing.run import preprocessing_digest
from ..preprocessing.store import CaseStore
from ..workspace import Workspace
from .batches import Batch, BatchRecipe, make_batch
from .loop import mask_generator, train
from .options import TrainingOptions
from .report import draw_progress, versions, write_training_csv
from .schedule import N_TIMED, N_WARMUP, epoch_length, iterations_for
from .score import score_samples
from .state import TrainingState, load_checkpoint, new_state
from .step import train_step
from .validation import validate_fold
from .workers import BatchSource

log = logging.getLogger(__name__)
SCHEMA = 1


@dataclass(frozen=True)
class Job:
    """One fold to train, resolved: everything known before the first iteration."""

    options: TrainingOptions
    plans: Plans
    config: ConfigPlan
    folder: Path
    recipe: BatchRecipe
    validation_cases: tuple[str, ...]
    device: torch.device

    @property
    def plan(self) -> NCAPlan | UNetPlan:
        return self.config.model(self.options.model)

    @property
    def digest(self) -> str:
        return self.plans.digest(self.config.name, self.options.model)

    @property
    def title(self) -> str:
        return f"{self.plans.dataset} {self.options.model}_{self.config.name} fold {self.options.fold}"


def train_fold(
    workspace: Workspace,
    options: TrainingOptions,
    on_epoch: Callable[[TrainingState], None] = lambda state: None,
    on_case: Callable[[str], None] | None = None,
) -> Path:
    """Trains and validates a fold; returns its folder. What is finished is only reported, unless `force`.

    on_epoch: called after each epoch's row. on_case: called with the name of each validated case.
    """
    job = prepare(workspace, options)
    finished = is_finished(job.folder)
    if finished and not options.force and not _extends(job):
        log.info("%s is finished: %s. Nothing was overwritten; --force trains it again.", job.title, job.folder)
        return job.folder
    state = start_state(job)
    job.folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(job.folder / "training.log", encoding="utf-8", mode="a" if options.resume else "w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("mednca_pipeline").addHandler(handler)
    try:
        _train_and_validate(workspace, job, state, on_epoch, on_case)
    finally:
        logging.getLogger("mednca_pipeline").removeHandler(handler)
        handler.close()
    return job.folder


def revalidate(workspace: Workspace, options: TrainingOptions) -> None:
    """Predicts and measures the validation cases of a trained fold again."""
    job = prepare(workspace, options)
    if not (job.folder / "final.safetensors").exists():
        raise InputError(f"{job.folder} has no final.safetensors: train this fold before validating it.")
    validate_fold(workspace, job.plans, job.folder, job.validation_cases, options.device)


def prepare(workspace: Workspace, options: TrainingOptions) -> Job:
    """Reads plans, splits and the preprocessed cases. Raises InputError for anything missing or not fitting."""
    dataset = workspace.resolve(options.dataset)
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config(options.config)
    plan = config.model(options.model)
    store = CaseStore(workspace.preprocessed_folder(dataset, config.name))
    cases = tuple(store.cases())
    if not cases:
        raise InputError(
            f"No preprocessed cases of {dataset} in {store.folder}: run mednca_plan_and_preprocess -d {dataset} "
            f"--config {config.name}."
        )
    store.require(cases, preprocessing_digest(config.preprocessing, plans.labels))
    training, validation = _cases_of_fold(workspace, dataset, options.fold, cases)
    folder = workspace.fold_folder(dataset, options.model, config.name, options.fold)
    _check_model_folder(folder.parent, plans, config.name, options)
    recipe = batch_recipe(store.folder, plans, config, plan, training, options)
    return Job(options, plans, config, folder, recipe, validation, choose_device(options.device))


def batch_recipe(
    store: Path, plans: Plans, config: ConfigPlan, plan: NCAPlan | UNetPlan, cases: tuple[str, ...], options
) -> BatchRecipe:
    """The batches of a model: whole images, with the place of the finest patch."""
    if isinstance(plan, NCAPlan):
        finest, factor = plan.levels[-1], plan.levels[0].factor
        patch = (
            config.image_size
            if finest.patch is None
            else tuple(side * f for side, f in zip(finest.patch, finest.factor, strict=True))
        )
    else:
        patch, factor = plan.patch, (1,) * config.dim
    image_size = tuple(map(max, config.image_size, patch))  # a UNet's patch is rounded up to its strides
    return BatchRecipe(
        store=store,
        cases=cases,
        labels=plans.labels,
        dim=config.dim,
        image_size=image_size,
        patch=patch,
        factor=factor,
        batch_size=plan.training.batch_size,
        foreground_share=plan.training.foreground_share,
        seed=options.seed,
        fold=options.fold,
    )


def start_state(job: Job) -> TrainingState:
    """A new state with its number of iterations, or the one of the checkpoint when the training is to be continued."""
    options, training = job.options, job.plan.training
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = build_model(options.model, job.plans, job.config.name).to(job.device)
    state = new_state(model, training, options.iterations or 0)
    if options.resume:
        state.restore(load_checkpoint(job.folder / "checkpoint.pt", job.digest, job.device))
        if options.iterations and options.iterations != state.iterations:
            log.info("Schedule changed from %d to %d iterations.", state.iterations, options.iterations)
            state.iterations = options.iterations
        return state
    if (job.folder / "checkpoint.pt").exists() and not options.force:
        raise InputError(
            f"{job.folder} holds an unfinished training. Go on with --continue, or start again with --force."
        )
    if options.pretrained:
        load_weights(options.pretrained, model)
        load_weights(options.pretrained, state.ema)
    if not options.iterations:
        minutes = training.minutes["cuda" if job.device.type == "cuda" else "cpu"]
        budget_s = options.budget_s or minutes * 60
        state.iterations = time_iterations(job, budget_s)
    return state


def time_iterations(job: Job, budget_s: float) -> int:
    """How many iterations fit the budget: times some that are thrown away, with their batches and epoch's end."""
    torch.manual_seed(job.options.seed)
    model = build_model(job.options.model, job.plans, job.config.name).to(job.device)
    trial = new_state(model, job.plan.training, 10**6)
    with BatchSource(job.recipe, 0, job.options.workers) as batches:
        for index in range(N_WARMUP + N_TIMED):
            if index == N_WARMUP:
                started = time.perf_counter()
            batch = next(batches)
            train_step(trial, batch, job.plan.training, job.plans.labels, mask_generator(job.recipe, index, job.device))
            trial.iteration += 1
    seconds = (time.perf_counter() - started) / N_TIMED
    started = time.perf_counter()
    score_samples(trial, scoring_batch(job), job.plans.labels)
    epoch_end_s = time.perf_counter() - started
    iterations = iterations_for(budget_s, seconds, epoch_end_s)
    log.info("%.1f min: %d iterations of %.0f ms, measured over %d.", budget_s / 60, iterations, seconds * 1e3, N_TIMED)
    return iterations


def scoring_batch(job: Job) -> Batch:
    """A batch of validation samples without augmentation, the same for every epoch and every run of the fold."""
    cases = job.validation_cases or job.recipe.cases
    return make_batch(dataclasses.replace(job.recipe, cases=cases, augment=False, seed=0), 0)


def is_finished(folder: Path) -> bool:
    return (folder / "run.json").exists() and bool(read_json(folder / "run.json", schema=SCHEMA)["finished"])


def _train_and_validate(workspace: Workspace, job: Job, state: TrainingState, on_epoch: Callable, on_case) -> None:
    write_plans(job.folder.parent / "plans.json", job.plans)
    log.info("%s: %s", job.title, job.options.command)
    log.info(
        "%d parameters, %d training and %d validation cases, %d iterations (epochs of %d), %s, seed %d.",
        *(count_parameters(state.model), len(job.recipe.cases), len(job.validation_cases)),
        *(state.iterations, epoch_length(state.iterations), job.device, job.options.seed),
    )
    write_json(job.folder / "run.json", run_record(job, state, finished=False))
    samples = scoring_batch(job)

    def end_of_epoch(state: TrainingState) -> None:
        write_training_csv(job.folder, state.rows)
        if len(state.rows) % 5 == 0 or state.iteration == state.iterations:
            draw_progress(job.folder, state.rows, job.title)
        on_epoch(state)

    train(
        state,
        job.recipe,
        job.plan.training,
        job.plans.labels,
        folder=job.folder,
        digest=job.digest,
        workers=job.options.workers,
        score=lambda: score_samples(state, samples, job.plans.labels),
        on_epoch=end_of_epoch,
    )
    end_of_epoch(state)
    save_weights(job.folder / "final.safetensors", state.ema)
    write_json(job.folder / "run.json", run_record(job, state, finished=False))
    validate_fold(workspace, job.plans, job.folder, job.validation_cases, job.options.device, on_case)
    write_json(job.folder / "run.json", run_record(job, state, finished=True))


def run_record(job: Job, state: TrainingState, finished: bool) -> dict:
    """What run.json says: enough to repeat the run and to fill the comparison's columns."""
    weights = job.folder / "final.safetensors"
    return {
        "schema": SCHEMA,
        "command": job.options.command,
        "seed": job.options.seed,
        "versions": versions(),
        "digest": job.digest,
        "dataset": job.plans.dataset,
        "model": job.options.model,
        "config": job.config.name,
        "fold": job.options.fold,
        "iterations": state.iterations,
        "finished": finished,
        "training_minutes": state.minutes,
        "parameters": count_parameters(state.model),
        "peak_memory_bytes": peak_memory_bytes(job.device),
        "seconds_per_iteration": state.rows[-1]["seconds_per_iteration"] if state.rows else None,
        "restores": state.guard.restores,
        "device": str(job.device),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "file_bytes": weights.stat().st_size if weights.exists() else None,
    }


def _extends(job: Job) -> bool:
    """Whether the user asks to go on with a finished training for more iterations."""
    wanted = job.options.iterations
    return job.options.resume and wanted is not None and wanted > read_json(job.folder / "run.json")["iterations"]


def _cases_of_fold(workspace: Workspace, dataset: str, fold: int | str, cases: tuple[str, ...]):
    """(training, validation) cases; fold "all" trains and validates on every case."""
    if fold == "all":
        return cases, cases
    splits = read_splits(workspace.splits_file(dataset), cases)
    if not 0 <= fold < len(splits):
        raise InputError(
            f"Fold {fold}: {workspace.splits_file(dataset)} has {len(splits)} folds, 0 to {len(splits) - 1}, or 'all'."
        )
    return splits[fold].train, splits[fold].val


def _check_model_folder(folder: Path, plans: Plans, config: str, options: TrainingOptions) -> None:
    """Refuses to add a fold to folds that were trained with other plans."""
    if not (folder / "plans.json").exists():
        return
    digest = plans.digest(config, options.model)
    others = {
        path.parent.name: read_json(path)["digest"]
        for path in sorted(folder.glob("fold_*/run.json"))
        if not (options.force and path.parent.name == f"fold_{options.fold}")
    }
    mixed = [name for name, found in others.items() if found != digest]
    if mixed:
        raise InputError(
            f"{folder} holds {', '.join(mixed)} trained with other plans than the present plans.json. Folds of "
            "different plans are never mixed: move that folder away, or plan as before."
        )
