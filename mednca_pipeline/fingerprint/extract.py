"""Reads every training case once, checks it and takes its fingerprint."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.case_checks import CaseCheck, check_loaded, load_case
from ..datasets.check import check_tasks, facts_of, make_report
from ..datasets.dataset import Case, Dataset
from ..datasets.findings import FATAL, Report
from ..execution.processes import cores
from ..execution.work import Task, results
from ..runtime.hashes import file_sha256
from ..runtime.images import stored_files
from .case import CaseArrays, case_fingerprint, sampled_foreground
from .fingerprint import CaseFingerprint, Fingerprint
from .intensities import intensity_statistics


@dataclass(frozen=True)
class Examined:
    """What one training case gives: its check and, unless a finding is fatal, its fingerprint and sampled voxels."""

    check: CaseCheck
    fingerprint: CaseFingerprint | None = None
    foreground: np.ndarray | None = None  # (C, sampled voxels)


def check_and_extract(
    dataset: Dataset, executor: Executor | None = None, progress: Callable[[str], None] = lambda name: None
) -> tuple[Report, Fingerprint | None]:
    """The report of `check_dataset` and the fingerprint, from one reading. No fingerprint when a finding is fatal.

    executor: whose workers share the work, each with one case in memory; None: this process does it. progress: called
    with the name of each case. An unexpected error names its case and keeps the worker's own traceback.
    """
    facts = facts_of(dataset)
    tasks = [Task(case.name, examine, (case, facts)) for case in dataset.training] + check_tasks(dataset, dataset.test)
    found = results(tasks, executor, progress)
    examined, tested = found[: len(dataset.training)], found[len(dataset.training) :]
    report = make_report(dataset, [one.check for one in examined], tested)
    if report.fatal:
        return report, None
    return report, _joined(dataset, examined)


def examine(case: Case, facts: Dataset) -> Examined:
    """What a worker process does with one case. Only the facts of the dataset are used, not its cases."""
    loaded = load_case(case, facts.spacing_known)
    check = check_loaded(case, loaded, facts)
    if loaded.image is None or loaded.label is None or any(found.severity == FATAL for found in check.findings):
        return Examined(check)
    arrays = CaseArrays(loaded.image.array, loaded.label.array[0], loaded.image.spacing_mm)
    voxels = sampled_foreground(arrays, facts.labels, case.name)
    fingerprint = case_fingerprint(case.name, arrays, facts.labels, voxels, check.image_sha256)
    return Examined(check, fingerprint, voxels)


def raw_sha256(dataset: Dataset) -> str:
    """The hash of dataset.json and of the bytes of all training files, under their names."""
    files = [dataset.folder / "dataset.json"]
    for case in dataset.training:
        files += [file for path in (*case.images, *([case.label] if case.label else [])) for file in stored_files(path)]
    with ThreadPoolExecutor(min(4, cores())) as threads:
        digests = threads.map(_file_sha256, files)
        lines = [f"{file.name} {digest}\n" for file, digest in zip(files, digests, strict=True)]
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def _file_sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        return "missing"


def _joined(dataset: Dataset, examined: Sequence[Examined]) -> Fingerprint:
    order = sorted(examined, key=lambda one: one.check.name)
    pooled = np.concatenate([one.foreground for one in order if one.foreground is not None], axis=1)  # (C, voxels)
    return Fingerprint(
        dataset=dataset.name,
        channel_names=dataset.channel_names,
        labels=dataset.labels,
        file_ending=dataset.file_ending,
        spacing_known=dataset.spacing_known,
        foreground=tuple(intensity_statistics(channel) for channel in pooled) if pooled.size else (),
        cases=tuple(one.fingerprint for one in order if one.fingerprint is not None),
        raw_sha256=raw_sha256(dataset),
    )
