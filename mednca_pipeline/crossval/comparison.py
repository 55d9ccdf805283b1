"""The numbers of the comparison table: every model and class, and every pair of models on the same cases."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ..evaluation.metrics import with_policy
from ..plans.plans import describe_components
from ..results.postprocessing import Postprocessing
from ..results.run_record import RunRecord
from ..results.summary import CaseResult, Metrics
from ..runtime.listing import counted
from ..runtime.quality import FOREGROUND
from .collect import ModelResults, Schedule
from .statistics import bootstrap_interval, holm, wilcoxon_p

COMPARED = ("dice", "hd95", "nsd")
LEAST_SHARE = 0.5  # of the planned schedule, below which a model is not yet what it could be
HIGHER_IS_BETTER = {"dice": True, "hd95": False, "nsd": True}


@dataclass(frozen=True)
class Comparison:
    """rows: one dict per model and class. pairs: one dict per metric, class and pair of models. notes: sentences.

    warnings: sentences that belong above the tables.
    """

    rows: tuple[dict[str, Any], ...]
    pairs: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    distance_unit: str
    warnings: tuple[str, ...] = ()


def compare(models: Sequence[ModelResults]) -> Comparison:
    """Compares the models' out-of-fold cases. Models without any finished fold only appear in the notes."""
    notes = [note for results in models for note in results.notes]
    notes += [_missing_note(results) for results in models if results.missing]
    present = [results for results in models if results.folds]
    for results in present:
        if results.postprocessing and not results.measured_with:
            notes.append(_unmeasured_note(results, results.postprocessing))
    schedules = _schedules(present)
    rows = [row for results in present for row in _model_rows(results, schedules.get(results.name))]
    short = {name for name, schedule in schedules.items() if schedule.share < LEAST_SHARE}
    pairs = []
    for metric in COMPARED:
        pairs += _pairs(present, metric, short)
    for first, second in combinations(present, 2):
        common = set(first.cases) & set(second.cases)
        if len(common) < max(len(first.cases), len(second.cases)):
            notes.append(
                f"{first.name} and {second.name} are paired on the {counted(len(common), 'case')} that both have "
                f"(of {len(first.cases)} and {len(second.cases)})"
            )
    units = {results.units.distance for results in present}
    if "pixels" in units:
        units.discard("voxels")  # as earlier versions called them
    if len(units) > 1:
        notes.append(f"distances are in {' and '.join(sorted(units))}, by model: compare them no further")
    warnings = [_short_warning(results, schedules[results.name]) for results in present if results.name in short]
    return Comparison(tuple(rows), tuple(pairs), tuple(notes), "/".join(sorted(units)), tuple(warnings))


def class_values(cases: Mapping[str, CaseResult], name: str, metric: str) -> dict[str, float]:
    """{case: value} of one class and metric, by POLICY where it is undefined."""
    return _values({case: entry.classes for case, entry in cases.items()}, name, metric)


def _values(cases: Mapping[str, Metrics], name: str, metric: str) -> dict[str, float]:
    return {case: with_policy(classes[name])[metric] for case, classes in cases.items() if name in classes}


def class_names(models: Sequence[ModelResults]) -> list[str]:
    """All class names of the models' cases, in the order of their first appearance, the merged foreground last."""
    names = dict.fromkeys(name for results in models for entry in results.cases.values() for name in entry.classes)
    return sorted(names, key=lambda name: name == FOREGROUND)


def _schedules(models: Sequence[ModelResults]) -> dict[str, Schedule]:
    """By name, of those that are known; that of an ensemble is that of the model with the least."""
    known = {results.name: schedule for results in models if (schedule := results.schedule)}
    for results in models:
        members = [known[name] for name in results.members if name in known]
        if members and len(members) == len(results.members):
            known[results.name] = min(members, key=lambda schedule: schedule.share)
    return known


def _short_warning(results: ModelResults, schedule: Schedule) -> str:
    return (
        f"{results.name} got {schedule.percent} of its planned schedule ({schedule.done:,} of {schedule.planned:,} "
        "iterations): it can do better, so its pairs have no significance"
    )


def _missing_note(results: ModelResults) -> str:
    done = ", ".join(str(result.fold) for result in results.folds) or "none"
    missing = ", ".join(map(str, results.missing))
    averaged = f"fold {done}" if len(results.folds) == 1 else f"folds {done}"
    verb = "is measured" if len(results.folds) == 1 else "are averaged"
    return f"{results.name} is incomplete: {averaged} of {len(results.expected)} {verb}, missing {missing}"


def _unmeasured_note(results: ModelResults, postprocessing: Postprocessing) -> str:
    chosen = describe_components(postprocessing.components) or "nothing removed"
    return (
        f"mednca_predict keeps other components with {results.name} ({chosen}) than its rows were measured with "
        f"({results.kept or 'nothing removed'}): mednca_crossval measures them again where the predictions are"
    )


def _model_rows(results: ModelResults, schedule: Schedule | None) -> list[dict[str, Any]]:
    costs = {**_costs(results), **_schedule_columns(schedule)}
    folds = {
        "folds": " ".join(str(result.fold) for result in results.folds),
        "missing_folds": " ".join(map(str, results.missing)),
    }
    raw = {case: entry.raw_classes for case, entry in results.validated.items()}
    rows = []
    for name in class_names([results]):
        row: dict[str, Any] = {"model": results.name, "class": name, **folds, "distance_unit": results.units.distance}
        row["cases"] = len(class_values(results.cases, name, "dice"))
        for metric in COMPARED:
            values = list(class_values(results.cases, name, metric).values())
            low, high = bootstrap_interval(values)
            row[f"{metric}_mean"] = float(np.mean(values))
            row[f"{metric}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
            row[f"{metric}_ci_low"], row[f"{metric}_ci_high"] = low, high
            row[f"{metric}_raw_mean"] = _mean(list(_values(raw, name, metric).values()))
        rows.append({**row, "components": results.kept, **costs})
    return rows


def _costs(results: ModelResults) -> dict[str, float]:
    """What a model costs: training minutes as the mean over folds, memory as their maximum, seconds over cases."""
    runs = [result.run for result in results.folds]
    seconds = [entry.seconds for entry in results.cases.values() if entry.seconds is not None]
    return {
        "parameters": _largest(runs, "parameters"),
        "file_bytes": _largest(runs, "file_bytes"),
        "training_minutes": _mean([run.training_minutes for run in runs if run.training_minutes is not None]),
        "seconds_per_case": _mean(seconds),
        "peak_memory_bytes": _largest(runs, "peak_memory_bytes"),
    }


def _schedule_columns(schedule: Schedule | None) -> dict[str, float]:
    if schedule is None:
        return dict.fromkeys(("iterations", "planned_iterations", "schedule_percent"), math.nan)
    return {
        "iterations": schedule.done,
        "planned_iterations": schedule.planned,
        "schedule_percent": round(100 * schedule.share, 1),
    }


def _largest(runs: Sequence[RunRecord], name: str) -> float:
    return max((value for run in runs if (value := getattr(run, name)) is not None), default=math.nan)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _pairs(models: Sequence[ModelResults], metric: str, short: Collection[str]) -> list[dict[str, Any]]:
    """Paired tests of one metric; Holm's family is all its classes and pairs of models.

    short: models that got too little of their schedule; pairs with one of them have no p.

    The merged foreground of a single class is that class, and is not tested twice.
    """
    rows: list[dict[str, Any]] = []
    names = class_names(models)
    for name in names if len(names) > 2 else names[:1]:
        for first, second in combinations(models, 2):
            values = class_values(first.cases, name, metric), class_values(second.cases, name, metric)
            common = sorted(set(values[0]) & set(values[1]))
            if not common:
                continue
            ours, theirs = ([side[case] for case in common] for side in values)
            difference = np.subtract(ours, theirs)
            better = difference if HIGHER_IS_BETTER[metric] else -difference
            rows.append(
                {
                    "metric": metric,
                    "class": name,
                    "first": first.name,
                    "second": second.name,
                    "cases": len(common),
                    "mean_difference": float(difference.mean()),
                    "wins_first": int((better > 0).sum()),
                    "wins_second": int((better < 0).sum()),
                    "ties": int((better == 0).sum()),
                    "p_wilcoxon": math.nan if {first.name, second.name} & {*short} else wilcoxon_p(ours, theirs),
                }
            )
    tested = [row for row in rows if not math.isnan(row["p_wilcoxon"])]
    corrected = iter(holm([row["p_wilcoxon"] for row in tested]))
    return [{**row, "p_holm": math.nan if math.isnan(row["p_wilcoxon"]) else next(corrected)} for row in rows]
