"""Progress where there is no terminal: a line now and then."""

import io
import logging

from rich.console import Console

from mednca_pipeline.execution import bars, progress


def test_without_a_terminal_a_line_says_how_far_it_is(monkeypatch, caplog):
    clock = iter(range(0, 10_000, 20))  # 20 s between two looks
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO), progress.counting("Drawing", 9, quiet=False) as step:
        for number in range(9):
            step(str(number))
    assert caplog.messages[0] == "Drawing..."  # before the first piece is done
    assert caplog.messages[1:] and all(message.startswith("Drawing: ") for message in caplog.messages[1:])
    assert caplog.messages[-1].endswith("of 9")


def test_the_bar_fits_narrow_terminals():
    for width in (40, 60, 80, 200):
        bar = bars.progress_bar()
        bar.add_task("Reading Dataset004_Hippocampus", total=200)
        bar.status = "loss 0.1; Dice: Anterior 0.9, Posterior 0.8"
        console = Console(width=width, record=True, file=io.StringIO())
        for part in bar.get_renderables():
            console.print(part)
        shown = console.export_text()
        assert max(map(len, shown.splitlines())) <= width and "Dice: Anterior" in shown
