"""Trains one fold of one model: prepares, times, trains, validates, and writes what was done."""

import dataclasses
import logging
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mednca_runtime.errors import InputError
from mednca_runtime.files import write_json

from ..device import choose_device
from ..evaluation.results import read_run
from ..models.registry import build_model, count_parameters
from ..models.weights import load_weights, save_weights
from ..planning.plans import write_plans
from ..preprocessing.store import CaseStore
from ..processes import cores
from ..workspace import Workspace
from .batches import Batch, make_batch
from .job import Job, prepare
from .lock import only_writer
from .loop import mask_generator, train
from .options import TrainingOptions
from .report import draw_progress, run_record, training_log, write_training_csv
from .schedule import N_TIMED, N_WARMUP, epoch_length, iterations_for, until_seen
from .score import score_samples
from .state import TrainingState, load_checkpoint, new_state, save_checkpoint
from .step import train_step
from .validation import validate_fold
from .workers import BatchSource

log = logging.getLogger(__name__)
SCORED_VOXELS = 2**18  # of the curve's samples together; a few whole images cost as much as some iterations
PROGRESS = ("checkpoint.pt", "training.csv", "best.safetensors", "final.safetensors")  # what iterations leave


def train_fold(
    workspace: Workspace,
    options: TrainingOptions,
    on_epoch: Callable[[TrainingState], None] = lambda state: None,
    on_case: Callable[[str], None] | None = None,
) -> Path:
    """Trains and validates a fold; returns its folder. What is finished is only reported, unless `force`.

    on_epoch: called after each epoch's row. on_case: called with the name of each validated case.
    """
    job = as_begun(prepare(workspace, options))
    run = read_run(job.folder)
    if run and run["finished"] and not options.force and not _extends(options, run):
        log.info("%s is finished: %s. Nothing was overwritten; --force trains it again.", job.title, job.folder)
        return job.folder
    with only_writer(job.folder):
        state = start_state(job)
        with training_log(job.folder / "training.log", append=options.resume):
            _train_and_validate(workspace, job, state, on_epoch, on_case)
    return job.folder


def revalidate(workspace: Workspace, options: TrainingOptions) -> None:
    """Predicts and measures the validation cases of a trained fold again."""
    job = prepare(workspace, options)
    if not job.validation_cases:
        raise InputError("--val: the fold 'all' was trained on every case, so none is left to validate on.")
    if not (job.folder / "final.safetensors").exists():
        raise InputError(f"{job.folder} has no final.safetensors: train this fold before validating it.")
    with only_writer(job.folder):
        validate_fold(workspace, job.plans, job.folder, job.validation_cases, options.device)


def as_begun(job: Job) -> Job:
    """A job to be continued, with the seed and threads that its training began with: they belong to its weights.

    Its command is all the commands so far.
    """
    options, run = job.options, read_run(job.folder)
    if not (options.resume and run):
        return job
    if options.budget_s or options.pretrained:
        log.warning("--continue goes on with its own schedule and weights: --budget and --pretrained do nothing.")
    threads = options.threads or (run["threads"] if run["threads"] <= cores() else None)
    if options.seed != run["seed"]:
        log.info("Going on with seed %d, as the training began.", run["seed"])
    anew = not run["finished"] and not any((job.folder / name).exists() for name in PROGRESS)
    if anew:
        log.info("No iteration was done yet: beginning as first asked.")
    iterations = options.iterations or (anew and run["iterations"]) or None
    options = dataclasses.replace(
        options,
        resume=not anew,
        iterations=iterations,
        budget_s=None if iterations else run["budget_s"],
        pretrained=run["pretrained"] and Path(run["pretrained"]),
        seed=run["seed"],
        threads=threads,
        command=f"{run['command']}; {options.command}",
    )
    recipe = dataclasses.replace(job.recipe, seed=run["seed"])
    return dataclasses.replace(job, options=options, recipe=recipe, device=_device_as_begun(job, run["device"]))


def _device_as_begun(job: Job, begun: str) -> torch.device:
    """The device of the first command, unless --device names another or this machine has no such device."""
    if job.options.device != "auto" or begun == str(job.device):
        return job.device
    try:
        return choose_device(begun)
    except InputError:
        log.warning("The training began on %s, which is not here: going on on %s, to other bits.", begun, job.device)
        return job.device


def start_state(job: Job) -> TrainingState:
    """A new state, or the one of the checkpoint when the training is to be continued."""
    options, training = job.options, job.plan.training
    torch.set_num_threads(options.threads or max(1, cores() - job.workers))
    torch.manual_seed(options.seed)
    model = build_model(options.model, job.plans, job.config.name).to(job.device)
    state = new_state(model, training, options.iterations or 0)
    if options.resume:
        load_checkpoint(job.folder / "checkpoint.pt", state, job.identity)
        if options.iterations and options.iterations < state.iteration:
            raise InputError(
                f"--iterations {options.iterations}: {job.folder} has done {state.iteration} already. Give more, or "
                "start again with --force."
            )
        if options.iterations and options.iterations != state.iterations:
            log.info("Schedule changed from %d to %d iterations.", state.iterations, options.iterations)
            state.iterations = state.good["iterations"] = options.iterations
            save_checkpoint(job.folder / "checkpoint.pt", state, job.identity)
        return state
    if (job.folder / "checkpoint.pt").exists() and not options.force:
        raise InputError(
            f"{job.folder} holds an unfinished training. Go on with --continue, or start again with --force."
        )
    if options.pretrained:
        load_weights(options.pretrained, model)
        load_weights(options.pretrained, state.ema)
    return state


def begin(job: Job, state: TrainingState) -> None:
    """Leaves what --continue needs, from a killed timing on, and settles the number of iterations."""
    (job.folder / "checkpoint.pt").unlink(missing_ok=True)
    write_plans(job.folder.parent / "plans.json", job.plans)
    write_json(job.folder / "run.json", run_record(job, state, finished=False))
    _clear(job.folder)
    if not state.iterations:
        minutes = job.plan.training.minutes["cuda" if job.device.type == "cuda" else "cpu"]
        state.iterations = time_iterations(job, job.options.budget_s or minutes * 60)
        if not job.options.budget_s:
            state.iterations = planned_iterations(job, state.iterations)
        write_json(job.folder / "run.json", run_record(job, state, finished=False))
    save_checkpoint(job.folder / "checkpoint.pt", state, job.identity)


def time_iterations(job: Job, budget_s: float) -> int:
    """How many iterations fit the budget: times some that are thrown away, with their batches and epoch's end."""
    torch.manual_seed(job.options.seed)
    model = build_model(job.options.model, job.plans, job.config.name).to(job.device)
    trial = new_state(model, job.plan.training, 10**6)
    with BatchSource(job.recipe, 0, job.workers) as batches:
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


def planned_iterations(job: Job, iterations: int) -> int:
    """Of the plan's schedule: fewer than fit its minutes where there are few images, which would be overfit."""
    store, training = CaseStore(job.recipe.store), job.plan.training
    images = sum(store.properties(case).shape[0] if job.recipe.dim == 2 else 1 for case in job.recipe.cases)
    enough = until_seen(iterations, training.most_views, images, training.batch_size)
    if enough < iterations:
        log.info(
            "%d iterations are enough: each of the %d training images is then seen about %d times.",
            *(enough, images, training.most_views),
        )
    return enough


def scoring_batch(job: Job) -> Batch:
    """A batch of validation samples without augmentation, the same for every epoch and every run of the fold."""
    cases = job.validation_cases or job.recipe.cases
    samples = min(job.recipe.batch_size, max(2, SCORED_VOXELS // math.prod(job.recipe.image_size)))
    plain = dataclasses.replace(
        job.recipe, batch_size=samples, augmentation=0.0, mirror_axes=(), artefacts=None, seed=0
    )
    return make_batch(dataclasses.replace(plain, cases=cases), 0)


def _train_and_validate(workspace: Workspace, job: Job, state: TrainingState, on_epoch: Callable, on_case) -> None:
    if not job.options.resume:
        begin(job, state)
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
        identity=job.identity,
        workers=job.workers,
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


def _clear(folder: Path) -> None:
    """Removes what a former training left: half of the old and half of the new would pass for one fold."""
    for name in ("summary.json", "final.safetensors", "best.safetensors", "training.csv"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "validation", ignore_errors=True)


def _extends(options: TrainingOptions, run: dict) -> bool:
    """Whether the user asks to go on with a finished training for more iterations."""
    return options.resume and options.iterations is not None and options.iterations > run["iterations"]
