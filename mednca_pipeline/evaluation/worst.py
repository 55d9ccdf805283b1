"""The worst cases of a summary: a table of all cases sorted by Dice, and pictures of the first."""

import csv
import io
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..execution.terminal import shown
from ..results.summary import Summary
from ..runtime.errors import InputError
from ..runtime.files import write_text
from ..runtime.quality import FOREGROUND
from .overlays import Picture, write_picture

log = logging.getLogger(__name__)
WORST = 5


@dataclass(frozen=True)
class CaseRow:
    """A class of a case. Metrics are NaN where undefined; distances and volumes in the summary's units."""

    case: str
    name: str
    dice: float
    hd95: float
    nsd: float
    volume_predicted: float
    volume_reference: float


def case_rows(summary: Summary) -> list[CaseRow]:
    """All classes of all cases, the lowest Dice first; equals by HD95, the largest first; undefined Dice last."""
    rows = [
        CaseRow(case, name, *(row.get(field, math.nan) for field in _FIELDS))
        for case, result in summary.cases.items()
        for name, row in result.classes.items()
        if not (name == FOREGROUND and len(result.classes) == 2)  # the same as the only class
    ]
    return sorted(rows, key=_order)


_FIELDS = ("dice", "hd95", "nsd", "volume_predicted", "volume_reference")


def _order(row: CaseRow) -> tuple[float, float, str, str]:
    dice = math.inf if math.isnan(row.dice) else row.dice
    hd95 = math.inf if math.isnan(row.hd95) else row.hd95
    return dice, -hd95, row.case, row.name


def write_cases(file: Path, summary: Summary, dimensions: int) -> None:
    """Writes `case_rows` as CSV, with the units in the names of the columns. dimensions: of the images, 2 or 3."""
    distance = summary.units.distance
    volume = f"mm{dimensions}" if distance == "mm" else distance
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    volumes = f"volume_predicted_{volume}", f"volume_reference_{volume}"
    writer.writerow(["case", "class", "dice", f"hd95_{distance}", "nsd", *volumes])
    for row in case_rows(summary):
        values = [(row.dice, ".4f"), (row.hd95, ".4g"), (row.nsd, ".4f")]
        values += [(row.volume_predicted, ".6g"), (row.volume_reference, ".6g")]
        writer.writerow([row.case, row.name, *("" if math.isnan(value) else format(value, to) for value, to in values)])
    write_text(file, text.getvalue())


def worst_cases(summary: Summary, count: int = WORST) -> list[CaseRow]:
    """The cases with the lowest Dice of any class, each with this class."""
    worst: dict[str, CaseRow] = {}
    for row in case_rows(summary):
        alone = len(summary.cases[row.case].classes) == 1
        if (row.name != FOREGROUND or alone) and not math.isnan(row.dice):
            worst.setdefault(row.case, row)
    return list(worst.values())[:count]


def worst_lines(summary: Summary, folder: Path | None = None) -> Iterator[str]:
    """The worst cases in words. folder: where they are drawn."""
    worst = worst_cases(summary)
    if not worst:
        return
    drawn = f", drawn in {shown(folder)}" if folder else ""
    yield (
        f"The {len(worst)} worst of {len(summary.cases)} cases{drawn}:" if len(worst) > 1 else f"The worst case{drawn}:"
    )
    for row in worst:
        hd95 = "HD95 undefined" if math.isnan(row.hd95) else f"HD95 {row.hd95:.3g} {summary.units.distance}"
        yield f"  {row.case}: {row.name} Dice {row.dice:.3f}, {hd95}"


def draw_worst(summary: Summary, folder: Path, picture_of: Callable[[str], Picture]) -> list[Path]:
    """Writes folder/<case>.png for the worst cases and removes the pictures of all others of the summary.

    picture_of: a case's picture. What cannot be drawn is logged, and does not spoil the numbers.
    """
    for case in summary.cases:
        (folder / f"{case}.png").unlink(missing_ok=True)
    written = []
    for row in worst_cases(summary):
        try:
            write_picture(picture_of(row.case), folder / f"{row.case}.png")
            written.append(folder / f"{row.case}.png")
        except InputError as error:
            log.warning("%s is not drawn: %s", row.case, error)
    return written


def dice_of(summary: Summary, case: str) -> dict[str, float]:
    """{class: Dice} of a case, the merged foreground left out unless it is alone."""
    classes = summary.cases[case].classes
    return {name: row["dice"] for name, row in classes.items() if name != FOREGROUND or len(classes) == 1}
