"""summary.json: the metrics of the cases of a fold, or of any folder of predictions."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.records import Measured, Name, from_dict
from ..runtime.units import DistanceUnit

SCHEMA = 2  # 1: rows hold the policy's numbers where a metric is undefined, and nothing counts them

Metrics = dict[str, dict[str, Measured]]  # per class, or "foreground", and metric; NaN where undefined, null in files


@dataclass(frozen=True)
class SummaryUnits:
    """nsd_tolerance: in the unit of distances."""

    distance: DistanceUnit  # earlier versions called pixels voxels
    volume: str
    nsd_tolerance: float


@dataclass(frozen=True)
class CaseResult:
    """classes: with the components that the plan keeps. raw: before any was removed, None where none is.

    seconds: that the case's prediction took. quality: {"score": {class or "foreground": score or None}}, None where no
    score was asked for. Files of earlier versions have scores by number of runs in it, which nothing reads.
    """

    classes: Metrics
    seconds: float | None = None
    quality: dict[str, Any] | None = None
    raw: Metrics | None = None

    def __post_init__(self) -> None:
        score = (self.quality or {}).get("score") or {}
        if not isinstance(score, dict) or not all(isinstance(value, float | int | None) for value in score.values()):
            raise InputError("quality.score", "a number or null for each class", f"{score!r:.60}")

    @property
    def raw_classes(self) -> Metrics:
        """The metrics before any component was removed."""
        return self.classes if self.raw is None else self.raw

    def score(self, name: str) -> float | None:
        """The quality score of a class or of "foreground"; None where there is none."""
        return ((self.quality or {}).get("score") or {}).get(name)


@dataclass(frozen=True)
class Summary:
    """mean, sd: over the cases, by `policy`. policy_applied: in how many cases of each class it decides, because the
    class is empty in both masks or in one. mean_nnunet: over the cases in which a metric is defined, as nnU-Net
    averages; NaN where there is none. raw_*: of the metrics before any component was removed. components: with which
    `classes` of a fold were measured; files of earlier versions, which removed nothing, have None, and None for
    mean_nnunet. missing, unmatched, failed: of a folder of predictions.
    """

    cases: dict[Name, CaseResult]
    mean: Metrics
    sd: Metrics
    units: SummaryUnits
    policy: str
    mean_nnunet: Metrics | None = None
    raw_mean: Metrics | None = None
    raw_mean_nnunet: Metrics | None = None
    raw_sd: Metrics | None = None
    policy_applied: dict[str, dict[str, int]] | None = None
    raw_policy_applied: dict[str, dict[str, int]] | None = None
    components: dict[str, int] | None = None
    missing: tuple[str, ...] | None = None
    unmatched: tuple[str, ...] | None = None
    failed: dict[str, str] | None = None
    schema: int = SCHEMA

    @property
    def raw_means(self) -> Metrics:
        """The means before any component was removed."""
        return self.mean if self.raw_mean is None else self.raw_mean


def read_summary(file: Path) -> Summary:
    """Raises InputError when the file is missing, damaged or of an unknown schema."""
    data = read_json(file)
    if not isinstance(data, dict) or data.get("schema") != 1:
        data = read_json(file, schema=SCHEMA)
    cases = data.get("cases")
    for case in cases.values() if isinstance(cases, dict) else ():
        if isinstance(case, dict):
            case.update({name: undefined_as_nan(case[name]) for name in ("classes", "raw") if name in case})
    data.update({name: undefined_as_nan(data[name]) for name in ("mean_nnunet", "raw_mean_nnunet") if name in data})
    return from_dict(Summary, data, str(file))


def undefined_as_nan(classes: Any) -> Any:
    """Metrics of a case as JSON has them, with NaN for null."""
    if not isinstance(classes, dict) or not all(isinstance(row, dict) for row in classes.values()):
        return classes  # damaged: whoever checks it says so
    return {
        name: {metric: math.nan if value is None else value for metric, value in row.items()}
        for name, row in classes.items()
    }


def write_summary(file: Path, summary: Summary) -> None:
    data = {name: value for name, value in asdict(summary).items() if value is not None}
    for case in data["cases"].values():
        if case["raw"] is None:
            del case["raw"]
    write_json(file, data, durable=True)
