"""The training loop: iterations grouped into epochs, with checkpoints, a guard and a polite end on signals."""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..device import peak_memory_bytes
from ..execution.signals import Stopped, ending_signals, handled
from ..models.weights import save_weights
from ..plans.model_plans import TrainingPlan
from .batches import BatchRecipe
from .checkpoint import save_checkpoint
from .guard import MAX_RESTORES
from .job import Job
from .schedule import cosine, epoch_length
from .state import TrainingState
from .step import train_step
from .watch import SILENT, Watch
from .workers import BatchSource

log = logging.getLogger(__name__)


class TrainingDiverged(Exception):
    """The training exploded again after every restore."""


class Interrupted(Stopped):
    """The training was asked to stop; its checkpoint is saved."""


def train(
    state: TrainingState,
    job: Job,
    score: Callable[[], dict[str, float]],
    on_epoch: Callable[[TrainingState], None],
    watch: Watch = SILENT,
) -> None:
    """Trains until `state.iterations`, going on from `state.iteration`.

    score: Dice per output of the EMA weights on a few validation samples. on_epoch: called after each epoch's row.
    watch: hears of every iteration.
    Raises Interrupted after SIGTERM, SIGHUP or Ctrl-C, once the checkpoint is written, and TrainingDiverged.
    """
    device, plan, labels = next(state.model.parameters()).device, job.plan.training, job.plans.labels
    checkpoint = job.folder.checkpoint
    length = epoch_length(state.iterations)
    if not state.good:
        state.mark_good()
    with stop_signals() as stopped:
        while state.iteration < state.iterations:
            with BatchSource(job.recipe, state.iteration, job.workers) as batches:
                started = time.perf_counter()
                for batch in batches:
                    generator = mask_generator(job.recipe, state.iteration, device)
                    loss, magnitude = train_step(state, batch, plan, labels, generator, job.method.loss)
                    problem = state.guard.problem(loss, magnitude)
                    if problem:
                        go_back(state, problem)
                        save_checkpoint(checkpoint, state, job.identity)
                        break
                    state.iteration += 1
                    add_to_epoch(state, loss, magnitude, time.perf_counter() - started)
                    if state.iteration % length == 0 or state.iteration == state.iterations:
                        ending = time.perf_counter()
                        end_epoch(state, plan, score(), peak_memory_bytes(device))
                        if is_best(state):
                            save_weights(job.folder.best_weights, state.ema)
                        if not state.guard.strikes:
                            state.mark_good()
                        save_checkpoint(checkpoint, state, job.identity)
                        on_epoch(state)
                        add_epoch_end(state, time.perf_counter() - ending)
                    watch.advances(state.iteration)
                    if stopped:
                        save_checkpoint(checkpoint, state, job.identity)
                        raise Interrupted(
                            stopped[0],
                            f"Stopped at iteration {state.iteration} of {state.iterations}; the training is saved. "
                            "Go on with --continue.",
                        )
                    if state.iteration >= state.iterations:
                        break
                    started = time.perf_counter()


def mask_generator(recipe: BatchRecipe, iteration: int, device: torch.device) -> torch.Generator:
    """The generator of an iteration's fire masks: it depends on seed, fold and iteration alone."""
    key = recipe.seed_of(iteration).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(key))


def go_back(state: TrainingState, problem: str) -> None:
    """Restores the last good state with a lower learning rate. Raises TrainingDiverged after too many times."""
    failed_at, guard = state.iteration, state.guard
    if guard.restores >= MAX_RESTORES:
        raise TrainingDiverged(
            f"Iteration {failed_at}: {problem}, after {guard.restores} restores with ever lower rates. Look at "
            "progress.png for the hidden state's magnitude; fewer --steps or another --seed usually helps."
        )
    state.restore(state.good)
    state.guard = state.guard.after_restore(guard)
    state.mark_good()
    log.warning(
        "Iteration %d: %s. Back to iteration %d, learning rate times %.3g from now on (restore %d of %d).",
        *(failed_at, problem, state.iteration, state.guard.rate_scale, state.guard.restores, MAX_RESTORES),
    )


def add_to_epoch(state: TrainingState, loss: float, magnitude: float, seconds: float) -> None:
    sums = state.epoch_sums
    sums["loss"] = sums.get("loss", 0.0) + loss
    sums["count"] = sums.get("count", 0) + 1
    sums["seconds"] = sums.get("seconds", 0.0) + seconds
    sums["magnitude"] = max(sums.get("magnitude", 0.0), magnitude)
    state.minutes += seconds / 60
    state.spent.training_s += seconds


def add_epoch_end(state: TrainingState, seconds: float) -> None:
    """The minutes of an epoch's end belong to the training, but to none of its iterations."""
    state.minutes += seconds / 60
    state.spent.epoch_ends_s += seconds


def end_epoch(state: TrainingState, plan: TrainingPlan, dice: dict[str, float], peak_bytes: int) -> None:
    sums, state.epoch_sums = state.epoch_sums, {}
    rate = plan.learning_rate * state.guard.rate_scale * cosine(state.iteration - 1, state.iterations)
    known = [value for value in dice.values() if not math.isnan(value)]
    state.rows.append(
        {
            "epoch": len(state.rows),
            "iteration": state.iteration,
            "train_loss": sums["loss"] / sums["count"],
            "learning_rate": rate,
            "hidden_magnitude": sums["magnitude"],
            "seconds_per_iteration": sums["seconds"] / sums["count"],
            "peak_memory_mb": peak_bytes / 2**20,
            "restores": state.guard.restores,
            "minutes": state.minutes,
            "mean_dice": sum(known) / len(known) if known else 0.0,
            **{f"dice_{name}": value for name, value in dice.items()},
        }
    )


def is_best(state: TrainingState) -> bool:
    better = state.rows[-1]["mean_dice"] > state.best_dice
    state.best_dice = max(state.best_dice, state.rows[-1]["mean_dice"])
    return better


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGTERM, SIGHUP and Ctrl-C, so that an iteration ends before the training does."""
    stopped: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    with handled(lambda number, _: stopped.append(number), [signal.SIGINT, *ending_signals()]):
        yield stopped
