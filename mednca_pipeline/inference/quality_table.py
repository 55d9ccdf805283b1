"""quality.csv: one row per output, kept over reruns."""

import csv
import io
from pathlib import Path

from ..plans.plans import Plans
from ..runtime.errors import InputError
from ..runtime.files import read_csv, state_of, write_text
from ..runtime.locks import locked
from ..runtime.printing import printable
from ..runtime.units import voxel_unit

Row = dict[str, str]
OURS = ("case", "file", "flag")  # the columns of every quality.csv
LOCK = ".mednca_predict.lock"  # of all tables of a folder


def columns(plans: Plans) -> list[str]:
    names = plans.labels.names
    quality = [f"quality_{name}" for name in ("foreground", *names)]
    volumes = [f"{volume_unit(plans)}_{name}" for name in names]
    first = ["case", "file", "flag", "reason", "validation_dice"]
    return [*first, *quality, *volumes, "seconds", "warnings", "made_with", "sha256"]


def volume_unit(plans: Plans) -> str:
    """What volumes are given in: mm3 (mm2 for 2D images), or pixels or voxels where the spacing is not known."""
    return f"mm{plans.dimensions}" if plans.spacing_known else voxel_unit(plans.dimensions)


class QualityTable:
    """The rows of a quality.csv by output file, as printed; every change is written at once, the file whole or not
    at all.

    Other processes may add rows at the same time. Raises InputError for a file that is no such table.
    """

    def __init__(self, path: Path, column_names: list[str]) -> None:
        self.path, self.column_names = path, column_names
        self.rows: dict[str, Row] = {}
        self.columns: list[str] = list(column_names)
        self._state: tuple[int, ...] | None = None
        self._read()

    def row(self, file: str) -> Row:
        """The row of an output file; {} where there is none."""
        return self.rows.get(printable(file), {})

    def put(self, row: Row) -> None:
        row = {name: printable(cell) for name, cell in row.items()}
        with locked(self.path.with_name(LOCK)):
            self._read()
            self.rows[row["file"]] = row
            text = io.StringIO()
            writer = csv.DictWriter(text, self.columns, restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[file] for file in sorted(self.rows))
            write_text(self.path, text.getvalue())
            self._state = state_of(self.path)

    def _read(self) -> None:
        if (state := state_of(self.path)) == self._state:
            return
        self._state, self.rows, found = state, {}, list[str]()
        if state is not None:
            try:
                found, *lines = read_csv(self.path) or [[]]
            except InputError:
                found, lines = [], []
            if not set(OURS) <= set(found):
                remedy = "Choose another folder with -o, or move this file away."
                raise InputError(self.path, "a table of mednca_predict", "something else", remedy)
            rows = (dict(zip(found, line, strict=False)) for line in lines)
            self.rows = {row["file"]: row for row in rows if row.get("file")}
        self.columns = [*self.column_names, *(name for name in found if name and name not in self.column_names)]
