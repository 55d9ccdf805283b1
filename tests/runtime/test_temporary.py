"""What killed processes left is removed by the next one, and nothing else is."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mednca_pipeline.runtime.files import replacing, write_text
from mednca_pipeline.runtime.temporary import remove_leftovers, temporary_name, tidy_once

KILLED = """
import os, pathlib, signal, sys
from mednca_pipeline.runtime.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    if sys.argv[2] == "waits":
        print("half", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def other_process(path, what):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(path), what]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name != "posix", reason="other systems cannot say whether a process is alive")
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    table = tmp_path / "table.csv"
    killed = other_process(table, "is killed")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 1 and "table.csv" not in left
    with other_process(table, "waits") as living:
        assert living.stdout.readline() == "half\n"
        (being_written,) = {path.name for path in tmp_path.iterdir()} - left
        tidy_once.cache_clear()  # this process has seen the folder before
        write_text(table, "whole")
        assert {path.name for path in tmp_path.iterdir()} == {"table.csv", being_written}
        living.communicate()
    assert table.read_text(encoding="utf-8") == "whole"


def test_folders_are_removed_and_files_of_other_names_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: (_ for _ in ()).throw(ProcessLookupError()))
    copy = tmp_path / temporary_name("Dataset004_Hippocampus")
    (copy / "imagesTr").mkdir(parents=True)
    mine = [tmp_path / ".tmp-1-notes.txt", tmp_path / ".tmp", tmp_path / "a.tmp-1-abcdef-01234567.csv"]
    for path in mine:
        path.write_text("")
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(mine)


def test_files_of_another_machine_are_kept_for_a_week(tmp_path):
    new, old = (tmp_path / f".tmp-1-000000-0123456{digit}.a.csv" for digit in "78")
    for path in (new, old):
        path.write_text("")
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (eight_days_ago, eight_days_ago))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path):
    path = tmp_path / ("é" * 120 + ".nii.gz")
    with replacing(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"voxels")
    assert path.read_bytes() == b"voxels"
