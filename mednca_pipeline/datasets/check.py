"""The integrity check of a dataset: opens every file once and reports all findings. A worker holds one case."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from ..execution.processes import cores
from ..execution.work import Task, results
from ..runtime.units import voxel_unit
from .case_checks import CaseCheck, check_case
from .dataset import Case, Dataset
from .file_checks import check_files
from .findings import FATAL, NOTE, SEVERITIES, WARNING, Finding, Report
from .spacing_checks import spacing_findings, tiny_images, with_others

_SMALL_BYTES = 100_000_000  # below this, reading takes about as long as starting the workers


def check_dataset(
    dataset: Dataset, executor: Executor | None = None, progress: Callable[[str], None] = lambda name: None
) -> Report:
    """Checks every file of `dataset`. Test images are checked as well, but nothing in them is fatal.

    executor: whose workers share the work, each with one case in memory; None: this process does it. progress: called
    with each case's name. A damaged file never ends the check. Raises InputError naming the cases that a killed worker
    left unchecked.
    """
    tasks = check_tasks(dataset, (*dataset.training, *dataset.test))
    checks = results(tasks, executor, progress)
    n_training = len(dataset.training)
    return make_report(dataset, checks[:n_training], checks[n_training:])


def check_tasks(dataset: Dataset, cases: Sequence[Case]) -> list[Task]:
    """Of the dataset only its facts are sent to a worker."""
    facts = facts_of(dataset)
    return [Task(case.name, check_case, (case, facts)) for case in cases]


def facts_of(dataset: Dataset) -> Dataset:
    """The dataset without its cases: all that a worker needs to know besides its own case."""
    return replace(dataset, training=(), test=(), notes=())


def default_workers(dataset: Dataset) -> int:
    """0 (this process) for small datasets, else one worker per processor, at most 8."""
    files = [file for case in dataset.training + dataset.test for file in case.images if file.is_file()]
    if sum(os.stat(file).st_size for file in files) < _SMALL_BYTES:
        return 0
    return min(8, cores())


def make_report(dataset: Dataset, training: Sequence[CaseCheck], test: Sequence[CaseCheck] = ()) -> Report:
    """Joins the checks of all cases with findings that show only in the whole: odd axes, absent labels, twins."""
    files = {case.name: case.images[0] for case in dataset.training}
    test_files = {case.name: case.images[0] for case in dataset.test}
    findings = check_files(dataset)
    findings += [finding for check in training for finding in check.findings]
    findings += [_harmless(finding) for check in test for finding in check.findings]
    findings = [with_others(finding, training, dataset.spacing_known) for finding in findings]
    findings += spacing_findings(training, training, files, dataset.spacing_known)
    findings += map(_harmless, spacing_findings(training, test, {**files, **test_files}, dataset.spacing_known))
    findings += tiny_images(training, files) if dataset.spacing_known else ()
    findings += _odd_axes(training, training, files)
    findings += map(_harmless, _odd_axes(training, test, test_files))
    findings += _absent_labels(dataset, training)
    findings += _twins(training, files)
    findings += _leaks(training, test, test_files)
    return Report(tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))))  # stable


def _harmless(finding: Finding) -> Finding:
    return replace(finding, severity=WARNING) if finding.severity == FATAL else finding


def _odd_axes(training: Sequence[CaseCheck], checked: Sequence[CaseCheck], files: dict[str, Path]) -> Iterator[Finding]:
    """2D images among 3D ones, or the other way round."""
    counts = Counter(check.ndim for check in training if check.ndim)
    if not counts:
        return
    usual, count = counts.most_common(1)[0]
    for check in checked:
        if check.ndim in (0, usual):
            continue
        kinds = {2: "slice (2 axes)", 3: "volume (3 axes)"}
        expected = (
            f"a {kinds[usual]}, as {count} other cases are" if count > 1 else f"a {kinds[usual]}, as the other is"
        )
        remedy = "Leave this case out, or make a separate dataset of such images."
        if usual == 3:
            remedy = f"Export the whole volume that this slice belongs to. {remedy}"
        sides = " x ".join(map(str, check.shape))
        found = f"one {kinds[check.ndim]} of {sides} {voxel_unit(check.ndim)}"
        yield Finding(FATAL, check.name, files[check.name], found, expected, remedy)


def _absent_labels(dataset: Dataset, checks: Sequence[CaseCheck]) -> Iterator[Finding]:
    """Labels of dataset.json that no case has. Nothing is found while some labels cannot be read."""
    if not all(check.label_sha256 for check in checks):
        return
    present = {name for check in checks for name in check.present}
    absent = [name for name in dataset.labels.names if name not in present]
    if absent:
        found = f"no voxel of {', '.join(absent)} in any of {len(checks)} labels"
        severity = WARNING if present else FATAL
        remedy = 'Correct the values of "labels" in dataset.json, or remove what is never labelled.'
        yield Finding(severity, "", dataset.folder / "dataset.json", found, "every label in some case", remedy)


def _twins(checks: Sequence[CaseCheck], files: dict[str, Path]) -> Iterator[Finding]:
    """Training cases with the same image."""
    groups: dict[str, list[CaseCheck]] = defaultdict(list)
    for check in checks:
        if check.image_sha256:
            groups[check.image_sha256].append(check)
    for group in groups.values():
        first, *others = (check.name for check in group)
        if not others:
            continue
        severity, found = NOTE, f"the same image as {', '.join(others)}"
        remedy = "Do nothing, as they share a fold, or remove the copies if they are there by mistake."
        if len({check.label_sha256 for check in group}) > 1:
            severity, found = WARNING, f"{found}, with another label"
            remedy = "Keep one of them: their labels differ. Until then they share a fold."
        yield Finding(severity, first, files[first], found, "different images", remedy)


def _leaks(training: Sequence[CaseCheck], test: Sequence[CaseCheck], test_files: dict[str, Path]) -> Iterator[Finding]:
    """Test images that are training images as well."""
    owners = {check.image_sha256: check.name for check in training if check.image_sha256}
    for check in test:
        if check.image_sha256 in owners:
            found = f"the same image as training case {owners[check.image_sha256]}"
            remedy = "Remove it from imagesTs or from imagesTr: a test on it would flatter the model."
            yield Finding(WARNING, check.name, test_files[check.name], found, "an unseen image", remedy)
