"""Dataclasses through JSON and back."""

from dataclasses import dataclass

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json
from mednca_pipeline.runtime.records import from_dict


@dataclass(frozen=True)
class Inner:
    weights: tuple[float, ...]
    pair: tuple[int, str]


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    by_name: dict[str, Inner]
    rows: tuple[tuple[int | None, ...], ...]
    maybe: Inner | None = None
    schema: int = 1


def test_dataclasses_come_back_from_json_as_they_were(tmp_path):
    inner = Inner((1.0, 0.5), (3, "z"))
    outer = Outer("Größe", inner, {"a": inner}, ((1, None), ()), maybe=None)
    write_json(tmp_path / "outer.json", outer)
    assert from_dict(Outer, read_json(tmp_path / "outer.json", schema=1)) == outer


def test_whole_numbers_in_float_fields_become_floats():
    assert isinstance(from_dict(Inner, {"weights": [1], "pair": [1, "x"]}).weights[0], float)


def test_unknown_fields_are_named():
    with pytest.raises(InputError, match="colour"):
        from_dict(Inner, {"weights": [], "pair": [1, "x"], "colour": "red"})
