"""The table of a check's findings, for every command that shows one, and how names are shown in tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ..execution.terminal import say, wide_console
from ..runtime.printing import printable
from .fitting import print_table

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..datasets.findings import Finding, Report

NARROW = 100  # columns below which sentences do not fit beside each other
_STYLES = {"fatal": "bold red", "warning": "yellow", "note": "dim"}


def plain(text: object) -> Text:
    """A cell or a line with names in it, in which nothing is markup and nothing is a control character."""
    return Text(printable(text, keep="\n"))


def print_report(dataset: "Dataset", report: "Report", quiet: bool = False, brief: bool = False) -> None:
    """Prints the dataset's notes, the table of findings (quiet, brief: without notes) and a line that counts them."""
    console = wide_console()
    found = [finding for finding in report.findings if not ((quiet or brief) and finding.severity == "note")]
    if not quiet:
        for note in dataset.notes:
            say(f"note: {note}")
    if found:
        print_table(console, _table(dataset, found), NARROW)
    if found or not quiet:
        more = " mednca_check shows the notes." if brief and report.count("note") else ""
        say(f"{_summary(dataset, report)}{more}")


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
