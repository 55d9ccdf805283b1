"""Files are written whole or not at all, and read with their schema."""

import json
import math
import os

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import no_link, read_json, replacing, write_json, write_text


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="power cut"), replacing(path) as temporary:
        temporary.write_text("half of the n", encoding="utf-8")
        raise RuntimeError("power cut")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_file_and_its_name_are_flushed_before_and_after_it_is_moved(tmp_path, monkeypatch):
    done = []

    def fsync(descriptor):
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("moved"), replace(*names)))
    write_text(tmp_path / "run.json", "{}", durable=True)
    assert done == ["file", "moved", "folder"]
    write_text(tmp_path / "table.csv", "")
    assert done[3:] == ["moved"]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(OSError) as caught:
        write_text(tmp_path / "table.csv", "new")
    assert caught.value.filename == str(tmp_path / "table.csv")
    too_long = tmp_path / ("a" * 300)
    with pytest.raises(OSError) as caught:
        write_text(too_long, "new")
    assert caught.value.filename == str(too_long)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_name_that_is_not_utf8_is_written_and_read(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_json(tmp_path / "a.json", {"case": name})
    assert read_json(tmp_path / "a.json") == {"case": name}
    write_text(tmp_path / "a.csv", name)
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "caf\\udce9"


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links")
def test_logs_are_not_written_through_a_link(tmp_path):
    (tmp_path / "diary").write_text("mine")
    (tmp_path / "training.log").symlink_to(tmp_path / "diary")
    with pytest.raises(OSError, match="symbolic links"):
        open(tmp_path / "training.log", "a", opener=no_link)
    assert (tmp_path / "diary").read_text(encoding="utf-8") == "mine"


def test_what_is_undefined_becomes_null(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1.0, math.nan, (math.nan, "NaN")], "a": {"c": math.nan}})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"), parse_constant=pytest.fail) == {
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
