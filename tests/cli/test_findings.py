"""What the commands' tables make of names."""

import io

import pytest
from rich.console import Console

from mednca_pipeline.cli.findings import plain
from mednca_pipeline.cli.tables import summary_table
from mednca_pipeline.execution import bars, progress
from mednca_pipeline.results.summary import Summary, SummaryUnits

ODD = "[/x] a\x1b[2J [bold]b"


def printed(what):
    console = Console(file=io.StringIO(), width=200)
    console.print(what)
    return console.file.getvalue()


@pytest.mark.parametrize("shown", [plain, lambda name: summary_table(summary_of(name))])
def test_names_in_tables_are_neither_markup_nor_control_characters(shown):
    text = printed(shown(ODD))
    assert "[/x] a\\x1b[2J [bold]b" in text and "\x1b" not in text


def summary_of(name):
    metrics = {name: {"dice": 0.5, "hd95": 2.0, "nsd": 0.25}}
    return Summary({}, metrics, metrics, SummaryUnits("mm", "mm3", 1.0), "policy")


def test_a_progress_bar_takes_any_name(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(bars, "Console", lambda **_: console)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with progress.counting(ODD, 2, quiet=False) as step:
        step("a")
    assert "[/x] a\\x1b[2J [bold]b" in console.file.getvalue()
