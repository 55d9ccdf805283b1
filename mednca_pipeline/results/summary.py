"""summary.json: the metrics of the cases of a fold, or of any folder of predictions."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..runtime.files import read_json, write_json
from ..runtime.records import from_dict

SCHEMA = 1

Metrics = dict[str, dict[str, float]]  # per class, or "foreground", and metric


@dataclass(frozen=True)
class Units:
    """nsd_tolerance: in the unit of distances."""

    distance: Literal["mm", "voxels"]
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

    @property
    def raw_classes(self) -> Metrics:
        """The metrics before any component was removed."""
        return self.classes if self.raw is None else self.raw

    def score(self, name: str) -> float | None:
        """The quality score of a class or of "foreground"; None where there is none."""
        return ((self.quality or {}).get("score") or {}).get(name)


@dataclass(frozen=True)
class Summary:
    """mean, sd: over the cases. components: with which `classes` of a fold were measured; None in files of earlier
    versions, which removed nothing. missing, unmatched, failed: of a folder of predictions.
    """

    cases: dict[str, CaseResult]
    mean: Metrics
    sd: Metrics
    units: Units
    policy: str
    raw_mean: Metrics | None = None
    raw_sd: Metrics | None = None
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
    """Raises InputError when the file is missing, damaged or of another schema."""
    return from_dict(Summary, read_json(file, schema=SCHEMA), str(file))


def write_summary(file: Path, summary: Summary) -> None:
    data = {name: value for name, value in asdict(summary).items() if value is not None}
    for case in data["cases"].values():
        if case["raw"] is None:
            del case["raw"]
    write_json(file, data)
