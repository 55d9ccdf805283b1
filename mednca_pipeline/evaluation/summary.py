"""The metrics of all cases of a fold or of any folder of predictions, with means."""

import logging
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.description import PICTURES
from ..execution.work import Task, WorkersLost, run_in_order
from ..results.summary import CaseResult, Metrics, Summary, SummaryUnits
from ..runtime.alignment import Placed, compare, no_orientation
from ..runtime.errors import InputError
from ..runtime.formats import WRITABLE, split_ending
from ..runtime.images import read_labels
from ..runtime.labels import Labels
from ..runtime.listing import listed
from .metrics import METRICS, Units, evaluate_case, policy_counts, with_policy

_MAP = re.compile(r"(.+?)(?:_variance|_probabilities_.+)")

_ELSEWHERE = "Predict on the image that the reference was drawn on."

_log = logging.getLogger(__name__)


def make_summary(cases: Mapping[str, CaseResult], units: Units, **more: Any) -> Summary:
    """The cases with their means. units: that they were measured in. more: further fields, such as `missing`."""
    if any(case.raw is not None for case in cases.values()):
        more = {**_averages([case.raw_classes for case in cases.values()], "raw_"), **more}
    return Summary(
        dict(cases),
        units=SummaryUnits(units.distance, units.volume, units.nsd_tolerance),
        policy=units.policy,
        **_averages([case.classes for case in cases.values()]),
        **more,
    )


def evaluate_folder(
    predictions: Path,
    references: Path,
    labels: Labels,
    units: Units,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Evaluates each label file in `references` against the prediction of the same name (whatever its ending).

    units: that distances and volumes are counted in; their dimensions are those of the files.
    executor: whose workers share the work; None: this process does it. progress: called with (done, total) after each.
    Returns a summary with `missing` (references without prediction), `unmatched` (predictions without reference) and
    `failed` ({case: reason}). Raises InputError when nothing can be compared, and when the workers are lost.
    """
    predicted, true = label_files(predictions), label_files(references)
    pairs = paired_files(predictions, references)
    tasks = [Task(case, _evaluate_pair, (case, *files, labels, units)) for case, files in pairs.items()]
    cases, failed = {}, {}
    noted: dict[str, list[str]] = defaultdict(list)
    for done, outcome in enumerate(run_in_order(tasks, executor), start=1):
        case = outcome.task.name
        if isinstance(outcome.error, InputError) and not isinstance(outcome.error, WorkersLost):
            predicted_file, true_file = pairs[case]
            failed[case] = f"{outcome.error} (prediction {predicted_file}, reference {true_file})"
        else:
            metrics, doubts, dimensions = outcome.result()
            units = replace(units, dimensions=dimensions)
            cases[case] = CaseResult(metrics)
            for doubt in doubts:
                noted[doubt].append(case)
        progress(done, len(pairs))
    for doubt, names in noted.items():
        of_all = f" ({len(names)} cases)" if len(names) > 3 else ""
        _log.warning("%s%s: %s; compared voxel by voxel.", listed(names, 3), of_all, doubt)
    missing = tuple(case for case in true if case not in predicted)
    unmatched = tuple(case for case in predicted if case not in true)
    return make_summary(cases, units, missing=missing, unmatched=unmatched, failed=failed)


def paired_files(predictions: Path, references: Path) -> dict[str, tuple[Path, Path]]:
    """{case: (prediction, reference)} of the cases that both folders have. Raises InputError when there is none."""
    predicted, true = label_files(predictions), label_files(references)
    pairs = {case: (predicted[case], true[case]) for case in true if case in predicted}
    if not pairs:
        expected = f"predictions named like the label files in {references} ({_files_of(true)})"
        raise InputError(predictions, expected, _files_of(predicted), "Name the two folders with -p and -l.")
    return pairs


def label_files(folder: Path) -> dict[str, Path]:
    """{case: file} of the label files in `folder`, sorted by case. Raises InputError when there are none.

    Probability and variance maps that mednca_predict wrote beside a case's label file are passed over.
    """
    if not folder.is_dir():
        raise InputError(folder, "a folder of label files", "no such folder", "Check the path.")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        case, ending = split_ending(file)
        if file.name.startswith(".") or ending not in WRITABLE:
            continue
        if case in files:
            found = f"{files[case].name} and {file.name}"
            raise InputError(folder, "one file per case", found, "Remove one of them.")
        files[case] = file
    if not files:
        raise InputError(folder, f"label files ({', '.join(WRITABLE)})", "none", "Check the path.")
    return {case: file for case, file in sorted(files.items()) if not _is_map(case, files)}


def found_labels(*folders: Path) -> Labels:
    """Labels named after the integer values found in the files of `folders`, for labels without a dataset.json."""
    values: set[int] = set()
    for folder in folders:
        for file in label_files(folder).values():
            values |= set(np.unique(read_labels(file).array).tolist())
    values.discard(0)
    if not values:
        remedy = "Name the dataset whose labels these are with -d."
        raise InputError(" and ".join(map(str, folders)), "labelled voxels", "only background", remedy)
    return Labels.from_dataset_json(
        {"background": 0, **{f"label {value}": value for value in sorted(values)}}, None, source=folders[0]
    )


def have_spacing(folder: Path) -> bool:
    """Whether the label files in `folder` are of formats that store a spacing."""
    return not any(split_ending(file)[1] in PICTURES for file in label_files(folder).values())


def _averages(cases: Sequence[Metrics], prefix: str = "") -> dict[str, Any]:
    """Mean and sd over the cases, per class and metric, and in how many cases of a class the policy decided.

    nnU-Net's mean leaves the undefined metrics out.
    """
    mean, sd, applied, nnunet = {}, {}, {}, {}
    for name in dict.fromkeys(name for classes in cases for name in classes):
        found = [classes[name] for classes in cases if name in classes]
        rows = [with_policy(row) for row in found]
        values = {metric: np.array([row[metric] for row in rows], float) for metric in METRICS}
        mean[name] = {metric: float(value.mean()) for metric, value in values.items()}
        sd[name] = {metric: float(value.std(ddof=1)) if len(value) > 1 else 0.0 for metric, value in values.items()}
        applied[name] = policy_counts(found)
        nnunet[name] = {metric: _mean_of_defined([row[metric] for row in found]) for metric in METRICS}
    averages = {"mean": mean, "sd": sd, "mean_nnunet": nnunet, "policy_applied": applied}
    return {f"{prefix}{key}": value for key, value in averages.items()}


def _mean_of_defined(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _evaluate_pair(
    case: str, predicted_file: Path, true_file: Path, labels: Labels, units: Units
) -> tuple[Metrics, list[str], int]:
    """The metrics of a case, what its headers leave open, and its number of spatial axes."""
    predicted, true = read_labels(predicted_file), read_labels(true_file)
    true_placed, predicted_placed = Placed(true_file, true.geometry), Placed(predicted_file, predicted.geometry)
    doubts = check_geometry(true_placed, predicted_placed, _ELSEWHERE, units.spacing_known)
    spacing = predicted.spacing_mm if not true.geometry.oriented else true.spacing_mm
    true = true.on(predicted.geometry)
    return evaluate_case(predicted.array[0], true.array[0], spacing, labels, units), doubts, len(spacing)


def _is_map(name: str, files: Mapping[str, Path]) -> bool:
    match = _MAP.fullmatch(name)
    return match is not None and match[1] in files


def check_geometry(found: Placed, reference: Placed, otherwise: str, spacing_known: bool = True) -> list[str]:
    """What the headers of two files leave open, although their voxels are taken one to one.

    Raises InputError where the voxels do not lie on each other, by the same comparison as mednca_check. otherwise: the
    remedy then.
    """
    doubts = []
    for mismatch in compare(found, reference, spacing_known, otherwise):
        if mismatch.fatal:
            raise InputError(found.file, mismatch.expected, mismatch.found, mismatch.remedy)
        without = reference if found.geometry.oriented else found
        doubts.append(
            f"{no_orientation(without.geometry)} of the file in {without.file.parent}, which is taken in the other's"
            if mismatch.quantity == "orientation"
            else f"found {mismatch.found}, expected {mismatch.expected}"
        )
    return doubts


def _files_of(cases: Mapping[str, Path]) -> str:
    return listed([file.name for file in cases.values()], 3)
