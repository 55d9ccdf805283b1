"""Preprocesses a dataset for one configuration: crop, normalise, resample and store, case by case, in parallel."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

from ..datasets.dataset import Case, Dataset
from ..plans.plans import Plans
from ..preprocessing.store import CaseProperties, CaseStore, foreground_index
from ..processes import worker_pool
from ..runtime.errors import InputError
from ..runtime.images import read_image, read_labels, stored_files
from ..runtime.labels import Labels
from ..runtime.preprocessing import PreprocessingPlan, preprocess_image, preprocess_labels
from ..runtime.records import from_dict

VERSION = 1  # raised when the same plan makes other arrays: what was trained on the former ones no longer fits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preprocessed:
    """Names of the cases that a run wrote, and of those that it found finished."""

    written: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class _Task:
    case: Case
    folder: Path
    plan: PreprocessingPlan
    labels: Labels
    dim: int
    digest: str


def preprocess_dataset(
    dataset: Dataset,
    plans: Plans,
    config: str,
    folder: Path,
    workers: int = 0,
    progress: Callable[[str], None] | None = None,
    force: bool = False,
) -> Preprocessed:
    """Preprocesses all training cases of `dataset` into `folder` (see CaseStore). What is there of others is deleted.

    Cases already made with the same plan, labels and raw files are skipped unless `force`. `workers` processes
    (0: this one) share the work; `progress` is called with every case's name as it is done or skipped.
    A failing case does not stop the others; in the end an InputError names all that failed, caused by the first
    failure with its own traceback.
    """
    chosen = plans.config(config)
    digest = preprocessing_digest(chosen.preprocessing, plans.labels)
    store = CaseStore(folder)
    _delete_removed(store, dataset)
    skipped = [case for case in dataset.training if not force and is_current(store, case, digest)]
    done = {case.name for case in skipped}
    tasks = [
        _Task(case, Path(folder), chosen.preprocessing, plans.labels, chosen.dim, digest)
        for case in dataset.training
        if case.name not in done
    ]
    report = progress or (lambda name: None)
    for case in skipped:
        report(case.name)
    failures: dict[str, Exception] = {}
    for name, error in _outcomes(tasks, workers):
        if error is not None:
            failures[name] = error
            if not isinstance(error, InputError | OSError | BrokenProcessPool):
                log.error("Preprocessing %s failed:", name, exc_info=error)
        report(name)
    if failures:
        _raise_failures(failures, dataset, Path(folder))
    return Preprocessed(tuple(task.case.name for task in tasks), tuple(case.name for case in skipped))


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


def preprocess_case(task: _Task) -> None:
    """Reads, preprocesses and stores one case; the unit of work of a worker process."""
    case, plan = task.case, task.plan
    if case.label is None:
        raise InputError(f"Case {case.name} has no label file; every training case needs one.")
    sources = _sources(case)  # before reading: a file that changes meanwhile is found changed at the next run
    image = read_image(case.images)
    labels = read_labels(case.label).array[0]
    if labels.shape != image.array.shape[1:]:
        raise InputError(
            f"{case.label}: expected the image's shape {image.array.shape[1:]}, found {labels.shape}. "
            "Run mednca_check for this dataset."
        )
    data, frame = preprocess_image(image.array, image.spacing_mm, plan)  # (C, S, H, W)
    target = preprocess_labels(labels, frame, task.labels)  # (S, H, W)
    slices, voxels = foreground_index(target, task.labels, case.name)
    properties = CaseProperties(task.digest, sources, frame, target.shape, slices, voxels)
    CaseStore(task.folder).write(case.name, data, target, properties, task.dim)


def _delete_removed(store: CaseStore, dataset: Dataset) -> None:
    """Deletes stored cases that are no training cases any more, so that nothing trains on them."""
    removed = sorted(set(store.cases()) - {case.name for case in dataset.training})
    for name in removed:
        store.delete(name)
    if removed:
        names = ", ".join(removed[:5]) + (", ..." if len(removed) > 5 else "")
        log.info("%s: deleted %d cases that %s no longer has: %s", store.folder, len(removed), dataset.name, names)


def _outcomes(tasks: list[_Task], workers: int) -> Iterator[tuple[str, Exception | None]]:
    """Yields (case name, None or what it raised) in the order of completion."""
    if workers == 0:
        for task in tasks:
            try:
                preprocess_case(task)
                yield task.case.name, None
            except Exception as error:
                yield task.case.name, error
        return
    if not tasks:
        return
    pool = worker_pool(min(workers, len(tasks)))
    try:
        names = {pool.submit(preprocess_case, task): task.case.name for task in tasks}
        for future in as_completed(names):
            yield names[future], future.exception()
    finally:
        pool.shutdown(cancel_futures=True)


def _raise_failures(failures: dict[str, Exception], dataset: Dataset, folder: Path) -> None:
    first = next(iter(failures.values()))
    total = len(dataset.training)
    if isinstance(first, BrokenProcessPool):
        raise InputError(
            f"{dataset.name}: a worker process was killed, often for lack of memory; {len(failures)} of {total} cases "
            "are not preprocessed. Run again with fewer workers (-np 1, or -np 0 for none): finished cases are kept."
        ) from first
    lines = "\n".join(f"  {name}: {_describe(error)}" for name, error in sorted(failures.items()))
    raise InputError(
        f"{dataset.name}: {len(failures)} of {total} cases could not be preprocessed (the others are in {folder}):\n"
        f"{lines}\nMend or remove them and run again: finished cases are skipped."
    ) from first


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _sources(case: Case) -> tuple[tuple[str, int, int], ...]:
    """(name, bytes, modification time in ns) of each file that holds a part of the case."""
    paths = (*case.images, *([case.label] if case.label else []))
    files = [file for path in paths for file in stored_files(path)]
    stats = [(path.name, os.stat(path)) for path in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
