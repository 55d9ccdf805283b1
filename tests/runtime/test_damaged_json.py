"""JSON and CSV files that hold anything at all are errors with the file's name, and with the field's where one is."""

import os
from dataclasses import dataclass
from typing import Annotated

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_csv, read_json
from mednca_pipeline.runtime.records import Between, Count, Measured, Name, from_dict

DAMAGE = {
    "empty": b"",
    "NUL bytes": bytes(100),
    "nested": b"[" * 200_000,
    "thousands of digits": b'{"a": ' + b"9" * 5000 + b"}",
    "too large": b'{"a": 1e999}',
    "no UTF-8": b'{"a": "\xff"}',
    "half a character": b'{"a": "\\ud800"}',
    "cut off": b'{"a": 1',
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_damaged_json_names_the_file(tmp_path, content):
    file = tmp_path / "plans.json"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(file)
    assert caught.value.where == str(file)


def test_a_folder_or_a_pipe_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name, found in (("folder", "a folder"), ("pipe", "a pipe or a device"), ("none", "no such file")):
        with pytest.raises(InputError, match=rf"{name}\.json: expected a JSON file, found {found}"):
            read_json(tmp_path / f"{name}.json")


def test_a_csv_file_is_read_with_the_separator_that_it_has(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfa;b,c\r\nd;"e\nf"\r\n')
    assert read_csv(tmp_path / "a.csv", ",;\t") == [["a", "b,c"], ["d", "e\nf"]]
    (tmp_path / "a.csv").write_bytes(b'a,"' + b"x" * 200_000)
    with pytest.raises(InputError, match=r"a\.csv: expected a CSV file"):
        read_csv(tmp_path / "a.csv")


@dataclass(frozen=True)
class Checked:
    count: Count = 1
    share: Annotated[float, Between(0, 1)] = 0.5
    metric: Measured = 0.0
    name: Name = "x"
    plain: float = 0.0
    steps: tuple[Annotated[int, Between(1, 8)], ...] = ()
    rows: dict[Name, float] | None = None
    maybe: Count | None = None

    def __post_init__(self):
        if self.count == 13:
            raise InputError("count", "luck", "13")


def test_values_in_their_range_are_taken():
    data = {"count": 3, "share": 1, "metric": float("inf"), "name": "y", "steps": [1, 8], "rows": {"a": 1}, "maybe": 2}
    assert from_dict(Checked, data) == Checked(3, 1.0, float("inf"), "y", 0.0, (1, 8), {"a": 1.0}, 2)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": True}, "count"),
        ({"count": 13}, "count"),
        ({"share": 1.5}, "share"),
        ({"share": float("nan")}, "share"),
        ({"plain": float("inf")}, "plain"),
        ({"plain": 10**400}, "plain"),
        ({"name": "../x"}, "name"),
        ({"steps": [1, 9]}, "steps[1]"),
        ({"rows": {"a/b": 1}}, ""),
        ({"rows": {"a": "b"}}, "rows.a"),
        ({"maybe": -1}, "maybe"),
    ],
)
def test_values_out_of_their_range_are_named_by_field(data, field):
    with pytest.raises(InputError) as caught:
        from_dict(Checked, data, "a.json")
    assert caught.value.where.startswith("a.json") and caught.value.where.endswith(field)
