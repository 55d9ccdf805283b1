"""Trains one fold of one model: prepares, times, trains, validates, and writes what was done."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ..device import choose_device
from ..execution.processes import cores
from ..models.registry import count_parameters
from ..models.weights import load_weights, save_weights
from ..results.fold_folder import FoldFolder
from ..results.run_record import RunRecord
from ..runtime.errors import InputError
from ..workspace import Workspace
from .batches import Batch, Sampler
from .checkpoint import load_checkpoint, save_checkpoint
from .job import Job, prepare
from .loop import mask_generator, train
from .method import DEFAULT, Method
from .options import TrainingOptions
from .planned import minutes_of_plan, training_images
from .schedule import N_TIMED, N_WARMUP, epoch_length, iterations_for, until_seen
from .score import score_samples
from .state import TrainingState, new_state
from .step import train_step
from .traces import draw_curve, training_log, training_record, write_curve
from .validation import validate_fold
from .workers import BatchSource

log = logging.getLogger(__name__)
SCORED_VOXELS = 2**18  # of the curve's samples together; a few whole images cost as much as some iterations


def train_fold(
    workspace: Workspace,
    options: TrainingOptions,
    on_epoch: Callable[[TrainingState], None] = lambda state: None,
    on_case: Callable[[str], None] | None = None,
    method: Method = DEFAULT,
) -> FoldFolder:
    """Trains and validates a fold; returns its folder. What is finished is only reported, unless `force`.

    on_epoch: called after each epoch's row. on_case: called with the name of each validated case. method: what is
    trained, and how. Validation predicts with the registry's network of this name.
    """
    job = as_begun(prepare(workspace, options, method))
    run = job.folder.run()
    if run and run.finished and not options.force and not _extends(options, run):
        log.info("%s is finished: %s. Nothing was overwritten; --force trains it again.", job.title, job.folder.path)
        return job.folder
    with job.folder.only_writer():
        state = start_state(job)
        with training_log(job.folder.log, append=options.resume):
            _train_and_validate(workspace, job, state, on_epoch, on_case)
    return job.folder


def revalidate(workspace: Workspace, options: TrainingOptions) -> None:
    """Predicts and measures the validation cases of a trained fold again."""
    job = prepare(workspace, options)
    if not job.fold.val:
        raise InputError(
            "--val",
            "a fold with validation cases",
            "fold 'all', which was trained on every case",
            "Choose a numbered fold.",
        )
    if not job.folder.has_final_weights():
        remedy = "Train this fold before validating it."
        raise InputError(job.folder.weights, "the weights of a trained fold", "no such file", remedy)
    with job.folder.only_writer():
        validate_fold(workspace, job)


def time_fold(workspace: Workspace, options: TrainingOptions) -> int:
    """How many iterations of a fold fit the budget, or the plan's minutes. Writes nothing."""
    job = prepare(workspace, options)
    use_threads(job)
    return timed_iterations(job)


def use_threads(job: Job) -> None:
    torch.set_num_threads(job.options.threads or max(1, cores() - job.workers))


def as_begun(job: Job) -> Job:
    """A job to be continued, with the seed and threads that its training began with: they belong to its weights.

    Its command is all the different commands so far.
    """
    options, run = job.options, job.folder.run()
    if not (options.resume and run):
        return job
    if options.budget_s or options.pretrained:
        log.warning("--continue goes on with its own schedule and weights: --budget and --pretrained do nothing.")
    threads = options.threads or (run.threads if run.threads and run.threads <= cores() else None)
    seed = options.seed if run.seed is None else run.seed
    if options.seed != seed:
        log.info("Going on with seed %d, as the training began.", seed)
    anew = job.folder.state() == "timing"
    if anew:
        log.info("No iteration was done yet: beginning as first asked.")
    iterations = options.iterations or (anew and run.iterations) or None
    again = run.command == options.command or run.command.endswith(f"; {options.command}")
    options = dataclasses.replace(
        options,
        resume=not anew,
        iterations=iterations,
        planned_iterations=run.planned_iterations or options.planned_iterations,
        budget_s=None if iterations else run.budget_s,
        pretrained=Path(run.pretrained) if run.pretrained else None,
        seed=seed,
        threads=threads,
        command=run.command if again else f"{run.command}; {options.command}",
    )
    recipe = dataclasses.replace(job.recipe, seed=seed)
    return dataclasses.replace(job, options=options, recipe=recipe, device=_device_as_begun(job, run.device))


def _device_as_begun(job: Job, begun: str | None) -> torch.device:
    """The device of the first command, unless --device names another or this machine has no such device."""
    if job.options.device != "auto" or begun in (None, str(job.device)):
        return job.device
    try:
        return choose_device(str(begun))
    except InputError:
        log.warning("The training began on %s, which is not here: going on on %s, to other bits.", begun, job.device)
        return job.device


def start_state(job: Job) -> TrainingState:
    """A new state, or the one of the checkpoint when the training is to be continued."""
    options, training = job.options, job.plan.training
    use_threads(job)
    torch.manual_seed(options.seed)
    model = job.method.network(options.model, job.plans, job.config.name).to(job.device)
    state = new_state(model, training, options.iterations or 0, job.method.optimisers)
    if options.resume:
        load_checkpoint(job.folder.checkpoint, state, job.identity)
        if options.iterations and options.iterations < state.iteration:
            raise InputError(
                f"--iterations {options.iterations}",
                f"at least the {state.iteration} that {job.folder.path} has done already",
                remedy="Give more, or start again with --force.",
            )
        if options.iterations and options.iterations != state.iterations:
            log.info("Schedule changed from %d to %d iterations.", state.iterations, options.iterations)
            state.iterations = state.good["iterations"] = options.iterations
            save_checkpoint(job.folder.checkpoint, state, job.identity)
        return state
    if job.folder.state() in ("resumable", "running") and not options.force:
        remedy = "Go on with --continue, or start again with --force."
        raise InputError(job.folder.path, found="an unfinished training", remedy=remedy)
    if options.pretrained:
        load_weights(options.pretrained, model)
        load_weights(options.pretrained, state.ema)
    return state


def begin(job: Job, state: TrainingState) -> None:
    """Leaves what --continue needs, from a killed timing on, and settles the number of iterations."""
    job.model_folder.begin(job.record, job.plans, training_record(job, state))
    if not state.iterations:
        state.iterations = timed_iterations(job)
        job.folder.write_run(training_record(job, state))
    save_checkpoint(job.folder.checkpoint, state, job.identity)


def time_iterations(job: Job, budget_s: float) -> int:
    """How many iterations fit the budget: times some that are thrown away, with their batches and epoch's end."""
    torch.manual_seed(job.options.seed)
    model = job.method.network(job.options.model, job.plans, job.config.name).to(job.device)
    trial = new_state(model, job.plan.training, 10**6, job.method.optimisers)
    with BatchSource(job.recipe, 0, job.workers) as batches:
        for index in range(N_WARMUP + N_TIMED):
            if index == N_WARMUP:
                started = time.perf_counter()
            batch = next(batches)
            generator = mask_generator(job.recipe, index, job.device)
            train_step(trial, batch, job.plan.training, job.plans.labels, generator, job.method.loss)
            trial.iteration += 1
    seconds = (time.perf_counter() - started) / N_TIMED
    started = time.perf_counter()
    score_samples(trial, scoring_batch(job), job.plans.labels)
    epoch_end_s = time.perf_counter() - started
    iterations = iterations_for(budget_s, seconds, epoch_end_s)
    log.info("%.1f min: %d iterations of %.0f ms, measured over %d.", budget_s / 60, iterations, seconds * 1e3, N_TIMED)
    return iterations


def timed_iterations(job: Job) -> int:
    """As many as fit the budget; without one, as many as fit the plan's minutes, or fewer where images are few."""
    iterations = time_iterations(job, job.options.budget_s or minutes_of_plan(job) * 60)
    if job.options.budget_s:
        return iterations
    images, training = training_images(job), job.plan.training
    enough = until_seen(iterations, training.most_views, images, training.batch_size)
    if enough < iterations:
        log.info(
            "%d iterations are enough: each of the %d training images is then seen about %d times.",
            *(enough, images, training.most_views),
        )
    return enough


def scoring_batch(job: Job) -> Batch:
    """A batch of validation samples without augmentation, the same for every epoch and every run of the fold."""
    cases = job.fold.val or job.recipe.cases
    samples = min(job.recipe.batch_size, max(2, SCORED_VOXELS // math.prod(job.recipe.image_size)))
    plain = dataclasses.replace(
        job.recipe, batch_size=samples, augmentation=0.0, mirror_axes=(), artefacts=None, seed=0
    )
    return Sampler(dataclasses.replace(plain, cases=cases)).batch(0)


def _train_and_validate(
    workspace: Workspace,
    job: Job,
    state: TrainingState,
    on_epoch: Callable[[TrainingState], None],
    on_case: Callable[[str], None] | None,
) -> None:
    if not job.options.resume:
        begin(job, state)
    log.info("%s: %s", job.title, job.options.command)
    log.info(
        "%d parameters, %d training and %d validation cases, %d iterations (epochs of %d), %s, seed %d.",
        *(count_parameters(state.model), len(job.recipe.cases), len(job.fold.val)),
        *(state.iterations, epoch_length(state.iterations), job.device, job.options.seed),
    )
    job.folder.write_run(training_record(job, state))
    samples = scoring_batch(job)

    def end_of_epoch(state: TrainingState) -> None:
        write_curve(job.folder.curve, state.rows)
        if len(state.rows) % 5 == 0 or state.iteration == state.iterations:
            draw_curve(job.folder.picture, state.rows, job.title)
        on_epoch(state)

    train(state, job, lambda: score_samples(state, samples, job.plans.labels), end_of_epoch)
    save_weights(job.folder.weights, state.ema)
    job.folder.write_run(training_record(job, state))
    if job.fold.val:
        validate_fold(workspace, job, on_case)
    else:
        log.info("Trained on all cases: none is left to validate on, so there is no summary.json.")
    job.folder.write_run(training_record(job, state, finished=True))


def _extends(options: TrainingOptions, run: RunRecord) -> bool:
    """Whether the user asks to go on with a finished training for more iterations."""
    return options.resume and options.iterations is not None and options.iterations > (run.iterations or 0)
