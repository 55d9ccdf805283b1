"""Messages on terminals of any width."""

import io
import logging
from pathlib import Path

import pytest

from mednca_pipeline.execution.libraries import log_to_terminal
from mednca_pipeline.execution.terminal import columns, duration, say, short_paths, shown, wrapped


def test_lines_are_wrapped_between_words_and_continue_indented():
    assert wrapped("one two three four", 10) == "one two\n  three\n  four"
    assert wrapped("short\n  one two three", 12) == "short\n  one two\n    three"
    assert wrapped("one two three four", None) == "one two three four"


def test_a_long_path_stays_whole_on_a_line_of_its_own():
    path = "/a/long/path/without-blanks/and-with-hyphens/file.nii.gz"
    assert wrapped(f"see {path} there", 20) == f"see\n  {path}\n  there"


def test_columns_decides_even_where_the_output_is_a_file(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert columns(io.StringIO()) is None
    say("word " * 30)
    assert capsys.readouterr().out.count("\n") == 1
    monkeypatch.setenv("COLUMNS", "40")
    assert columns(io.StringIO()) == 40
    say("word " * 30)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
    monkeypatch.setenv("COLUMNS", "wide")
    assert columns(io.StringIO()) is None


def test_the_log_is_as_wide_as_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    before = logging.getLogger().handlers[:]
    try:
        log_to_terminal(["mednca_pipeline"], quiet=False)
        logging.getLogger("mednca_pipeline.x").info("a message of %d words that is wide", 9)
    finally:
        logging.getLogger().handlers[:] = before
    assert capsys.readouterr().err == "a message of 9 words that is\n  wide\n"


def test_paths_below_the_current_folder_are_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "out" / "a.png") == str(Path("out") / "a.png")
    assert shown(tmp_path) == str(tmp_path) and shown("/elsewhere/a") == str(Path("/elsewhere/a"))


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize(
    "command", ["convert", "check", "plan_and_preprocess", "train", "crossval", "predict", "evaluate", "plot"]
)
def test_the_help_of_every_command_fits(command, width, monkeypatch, capsys):
    import importlib

    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit):
        importlib.import_module(f"mednca_pipeline.cli.{command}").main(["--help"])
    lines = [line.removeprefix("usage: ").strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if len(line) > width and " " in line] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "0.1 s"),
        (0.4, "0.4 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (90, "1.5 min"),
        (597, "10 min"),
        (6300, "1 h 45 min"),
    ],
)
def test_durations_below_a_minute_are_in_seconds(seconds, text):
    assert duration(seconds) == text


def test_paths_in_messages_are_those_below_the_current_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    inside, outside = tmp_path / "results" / "run.json", tmp_path.parent / "other.json"
    say(f"{inside}: damaged, see ({inside}) and {outside}")
    assert capsys.readouterr().out == f"results/run.json: damaged, see (results/run.json) and {outside}\n"
    assert short_paths(f"/mnt{inside}") == f"/mnt{inside}"  # another folder that ends alike
