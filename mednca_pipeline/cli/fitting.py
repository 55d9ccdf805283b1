"""Tables on terminals that are too narrow for them: a paragraph for each row."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..execution.terminal import wrapped


def print_table(console: Console, table: Table, below: int = 0) -> None:
    """Prints a table, or its rows as paragraphs where the console is narrower than it needs, or than `below`."""
    if console.width >= max(_needed(console, table), below):
        console.print(table)
        return
    if table.title:
        console.print(_plain(table.title))
    for paragraph in _paragraphs(table):
        console.print(Text(wrapped(paragraph, console.width)))


def _needed(console: Console, table: Table) -> int:
    """Columns in which no word is broken and nothing of the columns that must not wrap is lost."""
    whole = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    spare = 0
    for column in table.columns:
        texts = [_plain(column.header), *map(_plain, column.cells)]
        widest = max(cell_len(line) for text in texts for line in text.split("\n"))
        word = max((cell_len(word) for text in texts for word in text.split()), default=0)
        spare += 0 if column.no_wrap else widest - word
    return whole - spare


def _paragraphs(table: Table) -> Iterator[str]:
    """ "first cell; header: cell; ..." of each row; empty cells are left out."""
    headers = [_plain(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [(header, " ".join(_plain(cell).split())) for header, cell in zip(headers, row, strict=True)]
        (_, first), *others = cells
        yield "; ".join(filter(None, [first, *(f"{header}: {cell}" for header, cell in others if cell)]))


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
