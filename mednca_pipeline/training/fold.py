"""Trains one fold of one model: prepares, times, trains, validates, and writes what was done."""

import dataclasses
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mednca_runtime.errors import InputError
from mednca_runtime.files import read_json, write_json

from ..device import peak_memory_bytes
from ..models.registry import build_model, count_parameters
from ..models.weights import load_weights, save_weights
from ..planning.plans import write_plans
from ..workspace import Workspace
from .batches import Batch, make_batch
from .job import Job, prepare
from .loop import mask_generator, train
from .options import TrainingOptions
from .report import draw_progress, versions, write_training_csv
from .schedule import N_TIMED, N_WARMUP, epoch_length, iterations_for
from .score import score_samples
from .state import TrainingState, load_checkpoint, new_state, save_checkpoint
from .step import train_step
from .validation import validate_fold
from .workers import BatchSource

log = logging.getLogger(__name__)
SCHEMA = 1


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
    if not job.validation_cases:
        raise InputError("--val: the fold 'all' was trained on every case, so none is left to validate on.")
    if not (job.folder / "final.safetensors").exists():
        raise InputError(f"{job.folder} has no final.safetensors: train this fold before validating it.")
    validate_fold(workspace, job.plans, job.folder, job.validation_cases, options.device)


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
    if not job.options.resume:
        save_checkpoint(job.folder / "checkpoint.pt", state.snapshot(), job.digest)  # --continue works from here on
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
    save_weights(job.folder / "final.safetensors", state.ema)
    write_json(job.folder / "run.json", run_record(job, state, finished=False))
    if job.validation_cases:
        validate_fold(workspace, job.plans, job.folder, job.validation_cases, job.options.device, on_case)
    else:
        log.info("Trained on all cases: none is left to validate on, so there is no summary.json.")
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
