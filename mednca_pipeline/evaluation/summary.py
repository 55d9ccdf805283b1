"""summary.json: the metrics of all cases of a fold or of any folder of predictions, with means."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..processes import worker_pool
from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..runtime.formats import WRITABLE, split_ending
from ..runtime.geometry import differences
from ..runtime.images import Image, read_labels
from ..runtime.labels import Labels
from .metrics import METRICS, Units, evaluate_case, policy_counts, undefined_as_nan, with_policy

SCHEMA = 2  # 1: rows held the policy's numbers where a metric is undefined

_PIXELS = (".png", ".tif", ".tiff", ".bmp")  # formats that say nothing reliable about millimetres
_MAP = re.compile(r"(.+?)(?:_variance|_probabilities_.+)")

_log = logging.getLogger(__name__)


def make_summary(cases: Mapping[str, Mapping[str, Any]], units: Units, **more: Any) -> dict[str, Any]:
    """The contents of summary.json.

    cases: {case: {"classes": evaluate_case(...), "seconds": float | None, "quality": dict | None}}; "seconds" is the
        time that the case's prediction took. "raw", for every case or for none, are the metrics before the components
        that the plan does not keep were removed. Undefined metrics are NaN; write_json makes them null.
    units: that the cases were measured in.
    more: further entries, such as "missing".
    """
    if any("raw" in case for case in cases.values()):
        more = {**_averages([case["raw"] for case in cases.values()], "raw_"), **more}
    return {
        "schema": SCHEMA,
        "policy": units.policy,
        "units": {"distance": units.distance, "volume": units.volume, "nsd_tolerance": units.nsd_tolerance},
        "cases": {case: {"seconds": None, "quality": None, **entry} for case, entry in cases.items()},
        **_averages([case["classes"] for case in cases.values()]),
        **more,
    }


def read_summary(path: Path) -> dict[str, Any]:
    """A summary.json whose undefined metrics are NaN. Raises InputError when it is missing or of an unknown schema.

    Files of schema 1 hold the policy's numbers instead; `with_policy` leaves these as they are.
    """
    summary = read_json(path)
    if not isinstance(summary, dict) or summary.get("schema") != 1:
        summary = read_json(path, schema=SCHEMA)
    for entry in summary["cases"].values():
        entry.update({rows: undefined_as_nan(entry[rows]) for rows in ("classes", "raw") if rows in entry})
    return summary


def raw_metrics(entry: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Of a case of summary.json: its metrics per class before any component was removed."""
    return entry.get("raw", entry["classes"])


def raw_means(summary: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Of a summary.json: the mean metrics per class before any component was removed."""
    return summary.get("raw_mean", summary["mean"])


def evaluate_folder(
    predictions: Path,
    references: Path,
    labels: Labels,
    units: Units,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates each label file in `references` against the prediction of the same name (whatever its ending).

    units: that distances and volumes are counted in.
    workers: processes; 0 evaluates in this one. progress: called with (done, total) after each case.
    Returns the contents of summary.json, with "missing" (references without prediction), "unmatched" (predictions
    without reference) and "failed" ({case: reason}). Raises InputError when nothing can be compared.
    """
    predicted, true = label_files(predictions), label_files(references)
    pairs = {case: (predicted[case], true[case]) for case in true if case in predicted}
    if not pairs:
        raise InputError(
            f"expected predictions in {predictions} named like the label files in {references}, found "
            f"{_some(predicted)} there and {_some(true)} here: give the two folders with -p and -l."
        )
    evaluate = partial(_evaluate_pair, labels=labels, units=units)
    cases, failed = {}, {}
    for done, (case, result) in enumerate(_run(evaluate, pairs, workers), start=1):
        if isinstance(result, str):
            failed[case] = result
            _log.warning("%s: %s", case, result)
        else:
            cases[case] = {"classes": result}
        if progress:
            progress(done, len(pairs))
    missing = [case for case in true if case not in predicted]
    unmatched = [case for case in predicted if case not in true]
    return make_summary(cases, units, missing=missing, unmatched=unmatched, failed=failed)


def label_files(folder: Path) -> dict[str, Path]:
    """{case: file} of the label files in `folder`, sorted by case. Raises InputError when there are none.

    Probability and variance maps that mednca_predict wrote beside a case's label file are passed over.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of label files, found no folder {folder}.")
    files = {}
    for file in sorted(folder.iterdir()):
        case, ending = split_ending(file)
        if file.name.startswith(".") or ending not in WRITABLE:
            continue
        if case in files:
            raise InputError(f"expected one file per case in {folder}, found {files[case].name} and {file.name}.")
        files[case] = file
    if not files:
        raise InputError(f"expected label files ({', '.join(WRITABLE)}) in {folder}, found none.")
    return {case: file for case, file in sorted(files.items()) if not _is_map(case, files)}


def found_labels(*folders: Path) -> Labels:
    """Labels named after the integer values found in the files of `folders`, for labels without a dataset.json."""
    values: set[int] = set()
    for folder in folders:
        for file in label_files(folder).values():
            values |= set(np.unique(read_labels(file).array).tolist())
    values.discard(0)
    if not values:
        raise InputError(f"expected labels in {' or '.join(map(str, folders))}, found only background.")
    return Labels.from_dataset_json(
        {"background": 0, **{f"label {value}": value for value in sorted(values)}}, None, source=folders[0]
    )


def have_spacing(folder: Path) -> bool:
    """Whether the label files in `folder` are of formats that store a spacing."""
    return not any(split_ending(file)[1] in _PIXELS for file in label_files(folder).values())


def _averages(cases: Sequence[Mapping[str, Mapping[str, float]]], prefix: str = "") -> dict[str, Any]:
    """Mean and sd over the cases, per class and metric, and in how many cases of a class the policy decided."""
    mean, sd, applied = {}, {}, {}
    for name in dict.fromkeys(name for classes in cases for name in classes):
        found = [classes[name] for classes in cases if name in classes]
        rows = [with_policy(row) for row in found]
        values = {metric: np.array([row[metric] for row in rows], float) for metric in METRICS}
        mean[name] = {metric: float(value.mean()) for metric, value in values.items()}
        sd[name] = {metric: float(value.std(ddof=1)) if len(value) > 1 else 0.0 for metric, value in values.items()}
        applied[name] = policy_counts(found)
    return {f"{prefix}mean": mean, f"{prefix}sd": sd, f"{prefix}policy_applied": applied}


def _run(evaluate: Callable, pairs: Mapping[str, tuple[Path, Path]], workers: int):
    if not workers:
        yield from map(evaluate, pairs.items())
        return
    with worker_pool(min(workers, len(pairs))) as pool:
        yield from pool.map(evaluate, pairs.items())


def _evaluate_pair(item: tuple[str, tuple[Path, Path]], labels: Labels, units: Units) -> tuple[str, Any]:
    """(case, its metrics), or (case, what is wrong with it): one bad file must not lose the others."""
    case, (predicted_file, true_file) = item
    try:
        predicted, true = read_labels(predicted_file), read_labels(true_file)
        _check_geometry(case, predicted, true, units.spacing_known)
        return case, evaluate_case(predicted.array[0], true.array[0], true.spacing_mm, labels, units)
    except InputError as error:
        return case, f"{error} (prediction {predicted_file}, reference {true_file})"


def _is_map(name: str, files: Mapping[str, Path]) -> bool:
    match = _MAP.fullmatch(name)
    return bool(match) and match[1] in files


def _check_geometry(case: str, predicted: Image, true: Image, spacing_known: bool) -> None:
    for difference in differences(predicted.geometry, true.geometry):
        message = f"{difference.quantity}: expected the reference's {difference.expected}, found {difference.found}"
        if difference.quantity == "shape" or (difference.quantity == "spacing" and spacing_known):
            raise InputError(f"{message} (tolerance {difference.tolerance}). Predict on the image of the reference.")
        _log.warning("%s: %s (compared voxel by voxel)", case, message)


def _some(files: Mapping[str, Path]) -> str:
    names = [path.name for path in list(files.values())[:3]]
    return ", ".join(names) + (", …" if len(files) > len(names) else "")
