"""Damaged files of every kind end in an error, or in data that no checksum could tell from the right ones."""

import json
import os
import random

import pytest

from benchmarks import fuzz
from benchmarks.mutations import DEEP, Kinds, damaged
from mednca_pipeline.runtime.errors import InputError

SECONDS = float(os.environ.get("MEDNCA_FUZZ_S", "10"))  # .ci/run: 60
KILLS = int(os.environ.get("MEDNCA_KILLS", "1"))  # of each command; .ci/run: 5


def test_equal_seeds_damage_alike_and_json_is_mostly_damaged_in_its_values():
    content = json.dumps({"a": [1, 2, {"b": "c"}]}).encode()
    made = [damaged(random.Random(seed), content, Kinds(json=True)) for seed in range(600)]
    assert made == [damaged(random.Random(seed), content, Kinds(json=True)) for seed in range(600)]
    assert sum(one[0] != content for one in made) > 450 and any(DEEP.encode() in one[0] for one in made)
    assert all(content[:first] == one[:first] for one, first in made)


def test_outcomes_are_told_apart(tmp_path):
    """Readers that do each of the things which the fuzzer counts; the file is one byte, and damage changes it."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_bytes(b"0123456789")

    def kind(name, damaged_does, guarded=None):
        def read(folder):
            file = folder / "a"
            if not file.is_file() or file.read_bytes() != b"0123456789":
                return damaged_does()
            return 1

        return fuzz.Kind(name, tmp_path / "f", "a", read, guarded=guarded)

    def refuse():
        raise InputError("a", "b", "c")

    kinds = [
        kind("equal", lambda: 1),
        kind("refused", refuse),
        kind("other data", lambda: 2),
        kind("silent", lambda: 2, guarded=0),
        kind("raised", lambda: 1 / 0),
        kind("crashed", lambda: os.kill(os.getpid(), 9)),
    ]
    report = fuzz.fuzz(kinds, seconds=1.0, seed=1)
    for name, counts in report.counts.items():
        assert counts[name] > 0 and set(counts) <= {name, "equal"}, (name, counts)
    assert len(report.failures) == sum(
        report.counts[name][name] for name in ("silent", "raised", "crashed") if name in report.counts
    )


@pytest.mark.slow
def test_damaged_files_of_every_kind_are_errors(tmp_path):
    with fuzz.all_kinds(tmp_path) as kinds:
        report = fuzz.fuzz(kinds, SECONDS, seed=1)
    assert report.total > 100
    assert report.failures == []


@pytest.mark.slow
def test_killed_commands_end_as_undisturbed_ones():
    from benchmarks import kills

    found = kills.kill_all(KILLS, seed=1)
    assert [problem for one in found.values() for problem in one.problems] == []
