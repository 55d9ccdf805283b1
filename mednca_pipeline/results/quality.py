"""quality.json: from which quality score on a model's prediction asks for a review."""

from dataclasses import dataclass
from pathlib import Path

from ..runtime.files import read_json
from ..runtime.quality import Threshold
from ..runtime.records import from_dict

SCHEMA = 2  # 1: thresholds of the standard deviation of random runs


@dataclass(frozen=True)
class QualityRecord:
    """digest: of the plans of the folds that it was learned from."""

    digest: str | None
    folds: tuple[int, ...]
    threshold: Threshold
    schema: int = SCHEMA


def read_quality(file: Path) -> QualityRecord | None:
    """None where nothing was learned, or for an earlier form of the score. Raises InputError for a damaged file."""
    if not file.exists():
        return None
    stored = read_json(file)
    if isinstance(stored, dict) and stored.get("schema") == 1:
        return None
    return from_dict(QualityRecord, read_json(file, schema=SCHEMA), str(file))
