"""postprocessing.json: which components a model keeps, as chosen on its out-of-fold cases."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..runtime.records import Count, Name, from_dict
from .summary import CaseResult, Metrics, undefined_as_nan

_REMEDY = "Delete it: mednca_crossval makes it again."
SCHEMA = 2  # 1: the classes of which one component is kept, without metrics


@dataclass(frozen=True)
class Postprocessing:
    """What a model's out-of-fold cases say about removing components.

    components: class -> how many of its largest components are kept; absent: all.
    evidence: class -> how many were tried, the mean Dice of each class before and after, and whether it was chosen.
    metrics: case -> its metrics with `components`, NaN where undefined (null in the file); empty in files of schema 1,
    which did not measure them.
    folds, digest: what it was chosen on. raw_sha256: of the raw metrics of these cases, see `raw_sha256`.
    """

    components: dict[str, Count]
    evidence: dict[str, dict[str, Any]]
    folds: tuple[int, ...]
    digest: str
    metrics: dict[Name, Metrics] = field(default_factory=dict)
    raw_sha256: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True)
class _Schema1:
    """The first form of the file."""

    classes: tuple[str, ...]
    digest: str
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    folds: tuple[int, ...] = ()
    cases: Any = None
    schema: int = 1


def raw_sha256(cases: Mapping[str, CaseResult]) -> str:
    """Of the raw metrics of all cases: another value means that folds were trained or validated again."""
    metrics = {case: result.raw_classes for case, result in cases.items()}
    return hashlib.sha256(json.dumps(metrics, sort_keys=True).encode()).hexdigest()


def read_postprocessing(file: Path, digest: str) -> Postprocessing | None:
    """What was chosen for the model of these plans, or None where nothing was chosen yet.

    Raises InputError for a damaged file and an unknown schema.
    """
    stored = read_json(file) if file.exists() else {}
    if not isinstance(stored, dict):
        raise InputError(file, "an object with the fields of Postprocessing", f"{stored!r:.60}", _REMEDY)
    if stored.get("digest") != digest:
        return None
    if stored.get("schema") == 1:
        former = from_dict(_Schema1, stored, str(file))
        return Postprocessing(dict.fromkeys(former.classes, 1), former.evidence, former.folds, digest)
    stored = read_json(file, schema=SCHEMA)
    metrics = stored.get("metrics", {})
    if isinstance(metrics, dict):
        metrics = {case: undefined_as_nan(classes) for case, classes in metrics.items()}
    return from_dict(Postprocessing, {**stored, "metrics": metrics}, str(file))
