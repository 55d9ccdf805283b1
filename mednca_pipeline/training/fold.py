"""Trains one fold of one model: prepares, times, trains, validates, and writes what was done."""

import dataclasses
import logging
import math
import time
from pathlib import Path

import torch

from ..device import choose_device
from ..evaluation.colours import class_colours
from ..execution.processes import cores
from ..execution.terminal import duration
from ..models.registry import count_parameters
from ..models.weights import load_weights, save_weights
from ..results.fold_folder import FoldFolder
from ..results.run_record import RunRecord
from ..runtime.errors import InputError
from ..runtime.listing import counted
from ..workspace import Workspace
from .batches import Batch, Sampler
from .checkpoint import load_checkpoint, save_checkpoint
from .job import Job, prepare
from .loop import train
from .method import DEFAULT, Method
from .options import TrainingOptions
from .planned import minutes_of_plan, training_images
from .request import check_trainable, check_validatable
from .schedule import FIGURE_EVERY, epoch_length, iterations_for, training_s, until_seen
from .score import score_samples
from .state import TrainingState, new_state
from .timing import Timing, measure
from .traces import draw_curve, training_log, training_record, write_curve
from .validation import validate_fold
from .watch import SILENT, Watch

log = logging.getLogger(__name__)
TIMED_SHARE = 0.03  # of a budget that timed iterations may take, where they are slow
SCORED_VOXELS = 2**18  # of the curve's samples together; a few whole images cost as much as some iterations


def train_fold(
    workspace: Workspace,
    options: TrainingOptions,
    watch: Watch = SILENT,
    method: Method = DEFAULT,
) -> FoldFolder:
    """Trains and validates a fold; returns its folder. What is finished is only reported, unless `force`.

    watch: hears how far it is. method: what is trained, and how. Validation predicts with the registry's network of
    this name.
    """
    job = as_begun(prepare(workspace, options, method))
    run = job.folder.run()
    if run and run.finished and not options.force and not _extends(options, run):
        log.info("%s is finished: %s. Nothing was overwritten; --force trains it again.", job.title, job.folder.path)
        return job.folder
    with job.folder.only_writer():
        check_trainable(job.request)  # as it is now that no other process writes
        state = start_state(job)
        with training_log(job.folder.log, append=options.resume):
            _train_and_validate(workspace, job, state, watch)
    return job.folder


def revalidate(workspace: Workspace, options: TrainingOptions, watch: Watch = SILENT) -> None:
    """Predicts and measures the validation cases of a trained fold again."""
    job = prepare(workspace, options)
    check_validatable(job.request)
    with job.folder.only_writer():
        validate_fold(workspace, job, watch)


def time_fold(workspace: Workspace, options: TrainingOptions, watch: Watch = SILENT) -> int:
    """How many iterations of a fold fit the budget, or the plan's minutes. Writes nothing."""
    job = prepare(workspace, options)
    use_threads(job)
    return timed_iterations(workspace, job, watch)


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
    if options.pretrained:
        load_weights(options.pretrained, model)
        load_weights(options.pretrained, state.ema)
    return state


def begin(workspace: Workspace, job: Job, state: TrainingState, watch: Watch) -> None:
    """Leaves what --continue needs, from a killed timing on, and settles the number of iterations."""
    job.model_folder.begin(job.record, job.plans, training_record(job, state))
    if not state.iterations:
        started = time.perf_counter()
        state.iterations = timed_iterations(workspace, job, watch)
        state.spent.timing_s = time.perf_counter() - started
        job.folder.write_run(training_record(job, state))
    save_checkpoint(job.folder.checkpoint, state, job.identity)


def time_iterations(workspace: Workspace, job: Job, budget_s: float, watch: Watch = SILENT) -> int:
    """How many iterations fit the budget with the ends of their epochs, after the time that measuring this takes."""
    timing = measure(workspace, job, scoring_batch(job), max(1.0, TIMED_SHARE * budget_s), watch)
    left_s = budget_s - timing.took_s
    iterations = iterations_for(left_s, timing.iteration_s, timing.epoch_end_s)
    needed_s = training_s(iterations, timing.iteration_s, timing.epoch_end_s)
    if needed_s > left_s:
        log.warning(
            "%s is less than this training takes here at least: %s of timing and %s for %d iterations, the fewest. "
            "--iterations N needs no timing.",
            *(duration(budget_s), duration(timing.took_s), duration(needed_s), iterations),
        )
    log.info(
        "%s: %d iterations of %.0f ms, measured over %d.%s",
        *(duration(budget_s), iterations, timing.iteration_s * 1e3, timing.timed, _validation_adds(job, timing)),
    )
    return iterations


def _validation_adds(job: Job, timing: Timing) -> str:
    if timing.case_s is None:
        return ""
    count = len(job.fold.val)
    return f" Validation of {counted(count, 'case')} adds up to {duration(timing.case_s * count)}."


def timed_iterations(workspace: Workspace, job: Job, watch: Watch = SILENT) -> int:
    """As many as fit the budget; without one, as many as fit the plan's minutes, or fewer where images are few."""
    iterations = time_iterations(workspace, job, job.options.budget_s or minutes_of_plan(job) * 60, watch)
    if job.options.budget_s:
        return iterations
    enough = enough_iterations(job, iterations)
    if enough < iterations:
        log.info(
            "%d iterations are enough: each of the %d training images is then seen about %d times.",
            *(enough, training_images(job), job.plan.training.most_views),
        )
    return enough


def enough_iterations(job: Job, iterations: int) -> int:
    """`iterations`, or fewer where they show each training image as often as the plan's schedule asks."""
    training = job.plan.training
    return until_seen(iterations, training.most_views, training_images(job), training.batch_size)


def scoring_batch(job: Job) -> Batch:
    """A batch of validation samples without augmentation, the same for every epoch and every run of the fold."""
    cases = job.fold.val or job.recipe.cases
    samples = min(job.recipe.batch_size, max(2, SCORED_VOXELS // math.prod(job.recipe.image_size)))
    plain = dataclasses.replace(
        job.recipe, batch_size=samples, augmentation=0.0, mirror_axes=(), artefacts=None, seed=0
    )
    return Sampler(dataclasses.replace(plain, cases=cases)).batch(0)


def _train_and_validate(workspace: Workspace, job: Job, state: TrainingState, watch: Watch) -> None:
    if not job.options.resume:
        begin(workspace, job, state, watch)
    log.info("%s: %s", job.title, job.options.command)
    log.info(
        "%d parameters, %d training and %s, %d iterations (epochs of %d), %s, seed %d.",
        *(count_parameters(state.model), len(job.recipe.cases), counted(len(job.fold.val), "validation case")),
        *(state.iterations, epoch_length(state.iterations), job.device, job.options.seed),
    )
    job.folder.write_run(training_record(job, state))
    samples, colours = scoring_batch(job), class_colours(job.plans.labels)

    def end_of_epoch(state: TrainingState) -> None:
        write_curve(job.folder.curve, state.rows)
        if len(state.rows) % FIGURE_EVERY == 0 or state.iteration == state.iterations:
            draw_curve(job.folder.picture, state.rows, job.title, colours)
        watch.epoch(state)

    watch.begins("Training", state.iterations)
    watch.advances(state.iteration)
    train(state, job, lambda: score_samples(state, samples, job.plans.labels), end_of_epoch, watch)
    save_weights(job.folder.weights, state.ema)
    job.folder.write_run(training_record(job, state))
    if job.fold.val:
        started = time.perf_counter()
        validate_fold(workspace, job, watch)
        state.spent.validation_s = time.perf_counter() - started
    else:
        log.info("Trained on all cases: none is left to validate on, so there is no summary.json.")
    log.info("%s.", state.spent)
    job.folder.write_run(training_record(job, state, finished=True))


def _extends(options: TrainingOptions, run: RunRecord) -> bool:
    """Whether the user asks to go on with a finished training for more iterations."""
    return options.resume and options.iterations is not None and options.iterations > (run.iterations or 0)
