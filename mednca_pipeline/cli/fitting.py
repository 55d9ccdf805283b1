"""Tables on terminals that are too narrow for them: a paragraph for each row."""

from collections.abc import Iterator

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..execution.terminal import wrapped


def print_table(console: Console, table: Table, below: int = 0) -> None:
    """Prints a table, or its rows as paragraphs where the console is narrower than it needs, or than `below`."""
    needed = Measurement.get(console, console.options.update(max_width=10_000), table).minimum
    if console.width >= max(needed, below):
        console.print(table)
        return
    if table.title:
        console.print(_plain(table.title))
    for paragraph in _paragraphs(table):
        console.print(Text(wrapped(paragraph, console.width)))


def _paragraphs(table: Table) -> Iterator[str]:
    """ "first cell; header: cell; ..." of each row; empty cells are left out."""
    headers = [_plain(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [(header, " ".join(_plain(cell).split())) for header, cell in zip(headers, row, strict=True)]
        (_, first), *others = cells
        yield "; ".join(filter(None, [first, *(f"{header}: {cell}" for header, cell in others if cell)]))


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
