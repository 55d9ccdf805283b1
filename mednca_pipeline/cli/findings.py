"""The table of a check's findings, for every command that shows one, and how names are shown in tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..runtime.printing import printable

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..datasets.findings import Finding, Report

_STYLES = {"fatal": "bold red", "warning": "yellow", "note": "dim"}
_WIDTH = 160  # columns where the output is no terminal


def plain(text: object) -> Text:
    """A cell or a line with names in it, in which nothing is markup and nothing is a control character."""
    return Text(printable(text, keep="\n"))


def print_report(dataset: "Dataset", report: "Report", quiet: bool = False) -> None:
    """Prints notes, the table of findings (quiet: without notes) and a line that counts them."""
    console = wide_console()
    shown = [finding for finding in report.findings if not (quiet and finding.severity == "note")]
    if not quiet:
        for note in dataset.notes:
            console.print(plain(f"note: {note}"))
    if shown:
        console.print(_table(dataset, shown))
    if shown or not quiet:
        console.print(plain(_summary(dataset, report)))


def wide_console() -> Console:
    """For tables with sentences: as wide as the terminal, and wide enough where the output is none."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _table(dataset: "Dataset", findings: "list[Finding]") -> Table:
    table = Table(title=plain(f"Check of {dataset.name}"), show_lines=True)
    for header in ("", "file", "found", "expected", "remedy"):
        table.add_column(header, overflow="fold", ratio={"": None, "remedy": 3}.get(header, 2))
    for files, finding in _rows(findings):
        severity = Text(finding.severity, style=_STYLES[finding.severity])
        names = ", ".join(_relative(file, dataset.folder) for file in files)
        table.add_row(severity, *(plain(text) for text in (names, finding.found, finding.expected, finding.remedy)))
    return table


def _rows(findings: "list[Finding]") -> "list[tuple[list[Path], Finding]]":
    """The files of each row: one, but notes that differ only in the file share a row."""
    rows: dict = {}
    for index, finding in enumerate(findings):
        text = (finding.found, finding.expected, finding.remedy)
        key = text if finding.severity == "note" else index
        rows.setdefault(key, ([], finding))[0].append(finding.file)
    return list(rows.values())


def _relative(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def _summary(dataset: "Dataset", report: "Report") -> str:
    cases = f"{dataset.name}: {len(dataset.training)} training and {len(dataset.test)} test cases"
    if not report.findings:
        return f"{cases}, nothing to report."
    counts = ((report.count("fatal"), "fatal"), (report.count("warning"), "warning"), (report.count("note"), "note"))
    texts = [f"{count} {name}{'s' * (count > 1 and name != 'fatal')}" for count, name in counts if count]
    verdict = " It cannot be used before the fatal ones are mended." if report.fatal else ""
    return f"{cases}, {', '.join(texts)}.{verdict}"
