"""Preprocesses a dataset for one configuration: crop, normalise, resample and store, case by case, in parallel."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path

from ..datasets.dataset import Case, Dataset
from ..execution.work import Task, WorkersLost, run
from ..plans.plans import Plans
from ..preprocessing.store import CaseProperties, CaseStore, foreground_index
from ..runtime.errors import InputError
from ..runtime.images import read_header, read_image, read_labels, stored_files
from ..runtime.labels import Labels
from ..runtime.memory import check_memory
from ..runtime.preprocessing import PreprocessingPlan, frame_of, preprocess_labels
from ..runtime.records import from_dict

VERSION = 1  # raised when the same plan makes other arrays: what was trained on the former ones no longer fits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preprocessed:
    """Names of the cases that a run wrote, and of those that it found finished."""

    written: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """Where cases are stored, and how they are made. memory_bytes: what a case may take; None: what is free."""

    folder: Path
    plan: PreprocessingPlan
    labels: Labels
    dim: int
    memory_bytes: int | None = None

    @classmethod
    def planned(cls, plans: Plans, config: str, folder: Path) -> "Target":
        chosen = plans.config(config)
        asked_for = plans.memory_bytes if "memory" in plans.overrides else None  # else it is a training's budget
        return cls(folder, chosen.preprocessing, plans.labels, chosen.dim, asked_for)

    @property
    def digest(self) -> str:
        return preprocessing_digest(self.plan, self.labels)


def preprocess_dataset(
    dataset: Dataset,
    target: Target,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda name: None,
    force: bool = False,
) -> Preprocessed:
    """Preprocesses all training cases of `dataset`. Stored cases that the dataset no longer has are deleted.

    Cases already made with the same plan, labels and raw files are skipped unless `force`. The executor's workers, or
    this process without one, share the work; `progress` is called with every case's name as it is done or skipped.
    A failing case does not stop the others; in the end an InputError names all that failed, caused by the first
    failure with its own traceback.
    """
    digest, store = target.digest, CaseStore(target.folder)
    _delete_removed(store, dataset)
    skipped = [case for case in dataset.training if not force and is_current(store, case, digest)]
    done = {case.name for case in skipped}
    tasks = [Task(case.name, preprocess_case, (case, target)) for case in dataset.training if case.name not in done]
    for case in skipped:
        progress(case.name)
    failures: dict[str, Exception] = {}
    for outcome in run(tasks, executor):
        name, error = outcome.task.name, outcome.error
        if error is not None:
            failures[name] = error
            if not isinstance(error, InputError):
                log.error("Preprocessing %s failed:", name, exc_info=error)
        progress(name)
    if failures:
        _raise_failures(failures, dataset, target.folder)
    return Preprocessed(tuple(task.name for task in tasks), tuple(case.name for case in skipped))


def preprocessing_digest(plan: PreprocessingPlan, labels: Labels) -> str:
    """Fingerprint of all that decides a preprocessed case besides its raw files."""
    plan = from_dict(PreprocessingPlan, asdict(plan))  # 1 becomes 1.0: the same digest before and after plans.json
    decisive = [VERSION, asdict(plan), asdict(labels)]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def is_current(store: CaseStore, case: Case, digest: str) -> bool:
    """Whether the store holds this case, made with this plan from the raw files as they are now."""
    try:
        properties = store.properties(case.name)
        return properties.digest == digest and properties.sources == _sources(case)
    except (InputError, OSError):
        return False


def preprocess_case(case: Case, target: Target) -> None:
    """Reads, preprocesses and stores one case; the unit of work of a worker."""
    if case.label is None:
        remedy = "Add it, or leave the case out: every training case needs one."
        raise InputError(f"case {case.name}", "a label file", "none", remedy)
    sources = _sources(case)  # before reading: a file that changes meanwhile is found changed at the next run
    if all(path.is_file() for path in case.images):  # not a DICOM series, whose header is in its voxels' files
        header = read_header(case.images)
        _check_memory(case, header.channels, header.shape, (), target)
    image = read_image(case.images)
    labels = read_labels(case.label, on=image.geometry).array[0]
    if labels.shape != image.array.shape[1:]:
        expected = f"the image's shape {image.array.shape[1:]}"
        raise InputError(case.label, expected, str(labels.shape), "Run mednca_check for this dataset.")
    frame = frame_of(image.array, image.spacing_mm, target.plan)
    _check_memory(case, len(image.array), frame.crop.shape, frame.resample.resampled_shape, target)
    data = frame.forward(image.array)  # (C, S, H, W)
    made = preprocess_labels(labels, frame, target.labels)  # (S, H, W)
    slices, voxels = foreground_index(made, target.labels, case.name)
    properties = CaseProperties(target.digest, sources, frame, made.shape, slices, voxels)
    CaseStore(target.folder).write(case.name, data, made, properties, target.dim)


def _check_memory(case: Case, channels: int, shape: Sequence[int], on_grid: Sequence[int], target: Target) -> None:
    try:
        check_memory(channels, shape, on_grid, memory_bytes=target.memory_bytes)
    except InputError as error:
        raise error.at(case.images[0]) from error


def _delete_removed(store: CaseStore, dataset: Dataset) -> None:
    """Deletes stored cases that are no training cases any more, so that nothing trains on them."""
    removed = sorted(set(store.cases()) - {case.name for case in dataset.training})
    for name in removed:
        store.delete(name)
    if removed:
        names = ", ".join(removed[:5]) + (", ..." if len(removed) > 5 else "")
        log.info("%s: deleted %d cases that %s no longer has: %s", store.folder, len(removed), dataset.name, names)


def _raise_failures(failures: dict[str, Exception], dataset: Dataset, folder: Path) -> None:
    first = next(iter(failures.values()))
    number = f"{len(failures)} of {len(dataset.training)} cases"
    if isinstance(first, WorkersLost):
        raise first.at(f"{dataset.name}: {number} are not preprocessed") from first
    lines = "\n".join(f"  {name}: {_describe(error)}" for name, error in sorted(failures.items()))
    raise InputError(
        dataset.name,
        found=f"{number} that could not be preprocessed (the others are in {folder}):\n{lines}",
        remedy="Mend or remove them and run again: finished cases are skipped.",
    ) from first


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _sources(case: Case) -> tuple[tuple[str, int, int], ...]:
    """(name, bytes, modification time in ns) of each file that holds a part of the case."""
    paths = (*case.images, *([case.label] if case.label else []))
    files = [file for path in paths for file in stored_files(path)]
    stats = [(path.name, os.stat(path)) for path in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
