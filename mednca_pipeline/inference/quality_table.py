"""quality.csv: one row per output, kept over reruns."""

import csv
import io
from pathlib import Path

from ..plans.plans import Plans
from ..runtime.files import write_text

Row = dict[str, str]


def columns(plans: Plans) -> list[str]:
    names = plans.labels.names
    quality = [f"quality_{name}" for name in ("foreground", *names)]
    volumes = [f"{volume_unit(plans)}_{name}" for name in names]
    return ["case", "file", "flag", "reason", "validation_dice", *quality, *volumes, "seconds", "warnings", "made_with"]


def volume_unit(plans: Plans) -> str:
    """What volumes are given in: mm3 (mm2 for 2D images), or voxels where the dataset's spacing is not known."""
    return f"mm{len(plans.training_range.extent_mm)}" if plans.spacing_known else "voxels"


class QualityTable:
    """The rows of a quality.csv by output file; every change is written at once, the file whole or not at all."""

    def __init__(self, path: Path, column_names: list[str]) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        found: list[str] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                self.rows = {row["file"]: row for row in reader if row.get("file")}
                found = list(reader.fieldnames or [])
        self.columns = [*column_names, *(name for name in found if name and name not in column_names)]

    def put(self, row: Row) -> None:
        self.rows[row["file"]] = row
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows[file] for file in sorted(self.rows))
        write_text(self.path, text.getvalue())
