"""Files are written whole or not at all, and read with their schema."""

import json
import math

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, replacing, write_json, write_text


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="power cut"), replacing(path) as temporary:
        temporary.write_text("half of the n", encoding="utf-8")
        raise RuntimeError("power cut")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_undefined_becomes_null(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1.0, math.nan, (math.nan, "NaN")], "a": {"c": math.nan}})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {
        "a": {"c": None}, "b": [1.0, None, [None, "NaN"]],
    }  # fmt: skip


def test_the_temporary_file_is_beside_the_target_with_its_endings(tmp_path):
    path = tmp_path / "new" / "scan.nii.gz"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent and temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"voxels")
        assert not path.exists()
    assert path.read_bytes() == b"voxels"


def test_json_is_sorted_readable_and_stable(tmp_path):
    write_json(tmp_path / "one.json", {"b": 1, "a": "ü"})
    write_json(tmp_path / "two.json", {"a": "ü", "b": 1})
    text = (tmp_path / "one.json").read_bytes().decode("utf-8")
    assert text == '{\n "a": "ü",\n "b": 1\n}\n'
    assert (tmp_path / "two.json").read_bytes().decode("utf-8") == text


def test_json_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "notepad.json"
    path.write_text('{"a": 1}', encoding="utf-8-sig")
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize(("text", "found"), [('{"schema": 2}', "2"), ("{}", "none"), ("[1]", "none")])
def test_another_schema_is_refused(tmp_path, text, found):
    path = tmp_path / "plans.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="another one wrote it") as caught:
        read_json(path, schema=1)
    assert (caught.value.where, caught.value.expected, caught.value.found) == (str(path), "schema 1", found)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json: expected a JSON file, found no such file"):
        read_json(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text(json.dumps({"a": 1})[:-1], encoding="utf-8")
    with pytest.raises(InputError, match=r"broken\.json: expected valid JSON"):
        read_json(tmp_path / "broken.json")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xfc"}')
    with pytest.raises(InputError, match=r"latin\.json: expected a JSON file in UTF-8"):
        read_json(tmp_path / "latin.json")
