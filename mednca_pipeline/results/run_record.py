"""run.json: what was run, enough to repeat it and to fill the comparison's columns."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..runtime.files import read_json, write_json
from ..runtime.records import Index, from_dict

SCHEMA = 1
WRITTEN_WHERE_SET = ("beginning", "members", "planned_iterations")


@dataclass(frozen=True)
class RunRecord:
    """One training of one fold, or the mean of several models in that fold (`members`).

    digest: of the plans. split: of the fold's cases. fold: a number, or "all". iterations: 0 until a budget is timed.
    planned_iterations: what the plan's schedule would have been on this machine; None until the end where it was not
    timed.
    finished: trained to the end, and validated where the fold has validation cases. beginning: what a former training
    left is being removed, and counts no more. members: per model of an ensemble a digest of its fold's run.json. An
    ensemble has no digest, seed or iterations of its own; files of earlier versions lack some other fields.
    """

    finished: bool = False
    digest: str | None = None
    split: str | None = None
    dataset: str | None = None
    model: str | None = None
    config: str | None = None
    fold: int | str | None = None
    command: str = ""
    commit: str | None = None
    seed: int | None = None
    iterations: Index | None = None
    planned_iterations: Index | None = None
    budget_s: float | None = None
    pretrained: str | None = None
    training_minutes: float | None = None
    parameters: int | None = None
    peak_memory_bytes: int | None = None
    seconds_per_iteration: float | None = None
    restores: int | None = None
    device: str | None = None
    threads: int | None = None
    cores: int | None = None
    machine: str | None = None
    file_bytes: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    beginning: bool = False
    members: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


def read_run(file: Path) -> RunRecord:
    """Raises InputError when the file is missing, damaged or of another schema."""
    return from_dict(RunRecord, read_json(file, schema=SCHEMA), str(file))


def write_run(file: Path, record: RunRecord) -> None:
    data: dict[str, Any] = asdict(record)
    write_json(
        file, {name: value for name, value in data.items() if value or name not in WRITTEN_WHERE_SET}, durable=True
    )
