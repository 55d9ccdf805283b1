"""What a training and its validation cost on this machine, measured in a few seconds and thrown away."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ..datasets.dataset import load_dataset
from ..evaluation.metrics import evaluate_case, units_of
from ..inference.network import load_network
from ..inference.predictor import LoadedModel, Predictor
from ..models.weights import save_weights
from ..runtime.images import read_image, read_labels
from ..runtime.weights import read_weights
from ..workspace import Workspace
from .batches import Batch
from .checkpoint import save_checkpoint
from .job import Job
from .loop import end_epoch, mask_generator
from .schedule import FIGURE_EVERY, N_TIMED, N_WARMUP
from .score import score_samples
from .state import TrainingState, new_state
from .step import train_step
from .traces import draw_curve
from .watch import SILENT, Watch
from .workers import BatchSource

CASE_RUNS = 2  # predictions that are timed; the first one also imports libraries
LONG_CASE_S = 20.0  # of a first one that is enough


@dataclass(frozen=True)
class Timing:
    """iteration_s: measured over `timed` iterations. epoch_end_s: score, checkpoint, weights and share of a figure.
    case_s: predicting and measuring a case, at most: an untrained network has outlines everywhere; None where the fold
    validates none. took_s: of the measurement itself.
    """

    iteration_s: float
    timed: int
    epoch_end_s: float
    case_s: float | None
    took_s: float


def measure(workspace: Workspace, job: Job, samples: Batch, most_s: float, watch: Watch = SILENT) -> Timing:
    """Trains a network that is thrown away for some iterations, ends an epoch, and predicts a validation case.

    samples: that the epoch's end scores. most_s: that timed iterations may take; where they are slow, fewer are timed.
    """
    began = time.perf_counter()
    torch.manual_seed(job.options.seed)
    model = job.method.network(job.options.model, job.plans, job.config.name).to(job.device)
    trial = new_state(model, job.plan.training, 10**6, job.method.optimisers)
    watch.begins("Timing", N_WARMUP + N_TIMED)
    iteration_s, timed = _iteration(job, trial, most_s, watch)
    with tempfile.TemporaryDirectory() as folder:
        watch.begins("Timing the end of an epoch", 1)
        epoch_end_s = _epoch_end(job, trial, samples, Path(folder))
        watch.advances(1)
        case_s = _case(workspace, job, trial, Path(folder), watch) if job.fold.val else None
    return Timing(iteration_s, timed, epoch_end_s, case_s, time.perf_counter() - began)


def _iteration(job: Job, trial: TrainingState, most_s: float, watch: Watch) -> tuple[float, int]:
    """(seconds of an iteration, number that was timed); the first ones are not counted."""
    began, warm, timed, timed_s = time.perf_counter(), N_WARMUP, 0, 0.0
    with BatchSource(job.recipe, 0, job.workers) as batches:
        while not timed or (timed < N_TIMED and timed_s < most_s):
            started = time.perf_counter()
            generator = mask_generator(job.recipe, trial.iteration, job.device)
            batch = next(batches)
            loss, magnitude = train_step(trial, batch, job.plan.training, job.plans.labels, generator, job.method.loss)
            trial.iteration += 1
            watch.advances(trial.iteration)
            trial.epoch_sums = {"loss": loss, "magnitude": magnitude, "count": 1, "seconds": 0.0}
            if trial.iteration <= warm:
                if time.perf_counter() - began > most_s:
                    warm = trial.iteration
                continue
            timed, timed_s = timed + 1, timed_s + time.perf_counter() - started
    return timed_s / timed, timed


def _epoch_end(job: Job, trial: TrainingState, samples: Batch, folder: Path) -> float:
    end_epoch(trial, job.plan.training, {name: 0.0 for name in job.plans.labels.names}, 0)
    draw_curve(folder / "first.png", trial.rows, "")  # imports, too, which the training pays once
    started = time.perf_counter()
    draw_curve(folder / "again.png", trial.rows, "")
    figure_s = time.perf_counter() - started
    started = time.perf_counter()
    score_samples(trial, samples, job.plans.labels)
    trial.mark_good()
    save_checkpoint(folder / "checkpoint.pt", trial, job.identity)
    return time.perf_counter() - started + figure_s / FIGURE_EVERY


def _case(workspace: Workspace, job: Job, trial: TrainingState, folder: Path, watch: Watch) -> float:
    watch.begins("Timing the prediction of a case", CASE_RUNS)
    weights, plans = folder / "final.safetensors", job.plans
    save_weights(weights, trial.ema)
    network = load_network(read_weights(weights), plans, job.options.model, job.config.name, job.options.device)
    predictor = Predictor(LoadedModel(plans, job.config.name, job.options.model, {0: network}))
    (case,) = (
        case for case in load_dataset(workspace.raw_folder(plans.dataset)).training if case.name == job.fold.val[0]
    )
    assert case.label is not None  # preprocessing refuses training cases without
    took_s: list[float] = []
    while not took_s or (len(took_s) < CASE_RUNS and took_s[0] < LONG_CASE_S):
        started = time.perf_counter()
        image, reference = read_image(case.images), read_labels(case.label)
        predicted = predictor.predict(image.array, image.spacing_mm).labels
        evaluate_case(predicted, reference.array[0], reference.spacing_mm, plans.labels, units_of(plans))
        took_s.append(time.perf_counter() - started)
        watch.advances(len(took_s))
    return min(took_s)
