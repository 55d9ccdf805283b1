"""The reader of bundles: what is right is read, and everything else is refused with the name of what is wrong."""

import struct
import tracemalloc
import zlib
from zipfile import ZIP_BZIP2, ZIP_STORED, ZipInfo

import pytest

from mednca_pipeline.runtime import bundle as module
from mednca_pipeline.runtime.bundle import MANIFEST, is_bundle, open_bundle
from mednca_pipeline.runtime.errors import InputError

from .bundles import MEMBERS, manifest_of, write_small_bundle, write_zip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.mednca"


def refused(path, match):
    """Opening says so, and leaves nothing behind."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(InputError, match=match) as caught:
        open_bundle(path)
    assert str(path) in caught.value.where and caught.value.remedy
    assert sorted(path.parent.rglob("*")) == before


def patched(path, offset, content):
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path.write_bytes(data)


def directory_entry(path, name) -> int:
    """Where the member's entry begins in the directory at the end of the file."""
    return path.read_bytes().rindex(name.encode()) - 46


def test_members_are_read_as_they_were_written(path):
    bundle = open_bundle(write_small_bundle(path))
    assert {name: bundle.read(name) for name in bundle.manifest.members} == MEMBERS
    assert bundle.json("plans.json", schema=2) == {"schema": 2}
    assert "plans.json" in bundle and "quality.json" not in bundle
    with pytest.raises(InputError, match="quality.json: expected a member, found none"):
        bundle.read("quality.json")
    with pytest.raises(InputError, match=r"plans.json: expected schema 3, found 2"):
        bundle.json("plans.json", schema=3)


def test_members_without_compression_are_read(path):
    write_zip(path, [(MANIFEST, manifest_of(MEMBERS)), *MEMBERS.items()], ZIP_STORED)
    assert open_bundle(path).read("README.md") == MEMBERS["README.md"]


def test_a_file_that_is_replaced_after_it_was_opened_is_noticed(path):
    bundle = open_bundle(write_small_bundle(path))
    write_small_bundle(path, {**MEMBERS, "README.md": b"# A Model\n"})
    with pytest.raises(InputError, match="README.md: expected the content that the manifest says, found another sum"):
        bundle.read("README.md")


def test_what_is_no_zip_or_no_bundle_is_refused(path):
    refused(write_zip(path, [("README.md", b"x")]), f"found a zip file without {MANIFEST}")
    path.write_bytes(b"")
    refused(path, "found a file of something else")
    path.write_bytes(b"\x93NUMPY" * 40)
    refused(path, "found a file of something else")
    path.unlink()
    with pytest.raises(InputError, match="expected a model bundle .*found no such file"):
        open_bundle(path)
    path.mkdir()
    with pytest.raises(InputError, match="found a folder"):
        open_bundle(path)


def test_every_cut_is_noticed(path):
    content = write_small_bundle(path).read_bytes()
    for length in range(0, len(content), 3):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            open_bundle(path)
    path.write_bytes(content + b"\0")
    refused(path, "found a file of something else")
    path.write_bytes(b"#!/bin/sh\n" + content)
    refused(path, "not as long as declared")


def test_every_changed_byte_is_noticed_or_changes_nothing(path):
    """What no sum covers are times, systems and versions in the headers, which are not read."""
    content = write_small_bundle(path).read_bytes()
    noticed = 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            bundle = open_bundle(path)
            assert {name: bundle.read(name) for name in bundle.manifest.members} == MEMBERS, place
        except InputError:
            noticed += 1
    assert noticed > 0.85 * len(content) / 3


LEADING_ELSEWHERE = ("../x.json", "/x.json", "a/../../x.json", "C:\\x.json", "a\\x.json", "a//x.json", "a/b/x.json")


@pytest.mark.parametrize("name", [*LEADING_ELSEWHERE, ".x.json", "x\n.json", "x", "ä.json"])
def test_names_that_lead_elsewhere_are_refused(path, name):
    refused(write_small_bundle(path, {**MEMBERS, name: b"{}"}), "found another name, which could lead elsewhere")


def test_a_link_is_refused(path):
    link = ZipInfo("link.json")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    members = {**MEMBERS, "link.json": b"/etc/passwd"}
    pairs = [(link if name == "link.json" else name, content) for name, content in members.items()]
    refused(write_zip(path, [(MANIFEST, manifest_of(members)), *pairs]), "found a symbolic link")


def test_encrypted_members_are_refused(path):
    write_small_bundle(path)
    patched(path, directory_entry(path, "README.md") + 8, b"\x01\x00")
    refused(path, "README.md: expected no encryption")


def test_other_methods_are_refused(path):
    pairs = [(MANIFEST, manifest_of(MEMBERS)), *MEMBERS.items()]
    refused(write_zip(path, pairs, ZIP_BZIP2), "found method 12")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("again", ["README.md", "readme.md", MANIFEST])
def test_a_name_twice_is_refused(path, again):
    refused(write_zip(path, [(MANIFEST, manifest_of(MEMBERS)), *MEMBERS.items(), (again, b"x")]), "found it twice")


def test_members_are_those_of_the_manifest(path):
    extra = {**MEMBERS, "more.json": b"{}"}
    refused(write_zip(path, [(MANIFEST, manifest_of(MEMBERS)), *extra.items()]), "more.json: expected no such member")
    refused(write_zip(path, [(MANIFEST, manifest_of(extra)), *MEMBERS.items()]), "more.json: expected a member, .*none")


@pytest.mark.parametrize("field", ["bytes", "sha256"])
def test_members_are_as_the_manifest_says(path, field):
    import json

    manifest = json.loads(manifest_of(MEMBERS))
    manifest["members"]["README.md"][field] = {"bytes": 9, "sha256": "0" * 64}[field]
    write_zip(path, [(MANIFEST, json.dumps(manifest).encode()), *MEMBERS.items()])
    refused(path, {"bytes": "README.md: expected 9 bytes, found 10", "sha256": "found another sum"}[field])


def test_a_later_schema_asks_for_a_later_version(path):
    refused(write_small_bundle(path, schema=2, more="x"), "expected schema 1, found 2. Install the version")
    refused(write_small_bundle(path, schema=None), "expected schema 1, found None")


@pytest.mark.parametrize(
    "changes", [{"format": "x"}, {"weights": "int8"}, {"members": []}, {"made_with": 1}, {"more": 1}, {"weights": None}]
)
def test_a_manifest_of_something_else_is_refused(path, changes):
    refused(write_small_bundle(path, **changes), "manifest.json")


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff", b"[]", b"1", b'{"format": "mednca bundle", "schema": 1e999}']
)
def test_a_manifest_that_is_no_object_is_refused(path, content):
    refused(write_zip(path, [(MANIFEST, content), *MEMBERS.items()]), "manifest.json: expected")


def test_a_bomb_is_refused_before_it_is_inflated(path):
    bomb = {**MEMBERS, "fold_1/final.safetensors": bytes(2**26)}
    write_small_bundle(path, bomb)
    tracemalloc.start()
    refused(path, "expected members of at most .* found 67,")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_member_that_inflates_to_more_than_it_declares_is_refused(path):
    name = "fold_1/final.safetensors"
    write_small_bundle(path, {**MEMBERS, name: bytes(2**26)})
    entry = directory_entry(path, name)
    patched(path, entry + 24, struct.pack("<L", 1000))
    tracemalloc.start()
    refused(path, "expected 67,108,864 bytes, found 1,000")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_member_that_inflates_to_more_than_manifest_and_zip_declare_is_refused(path):
    """Both say 1,000 bytes, with the right sums of the first 1,000."""
    whole = {**MEMBERS, "more.json": bytes(5000)}
    declared = {**MEMBERS, "more.json": bytes(1000)}
    write_zip(path, [(MANIFEST, manifest_of(declared)), *whole.items()])
    entry = directory_entry(path, "more.json")
    patched(path, entry + 16, struct.pack("<L", zlib.crc32(bytes(1000))))
    patched(path, entry + 24, struct.pack("<L", 1000))
    refused(path, "more.json: expected a whole member")


def test_a_text_of_megabytes_is_refused(path):
    refused(write_small_bundle(path, {**MEMBERS, "big.json": bytes(2**20 + 1)}), "big.json: expected at most 1,048,576")


def test_a_large_file_is_refused_by_its_size(path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    refused(write_small_bundle(path), "expected at most 1,000 bytes")


def test_many_members_are_refused_by_their_declared_number(path):
    many = {f"m{number}.json": b"" for number in range(64)}
    refused(write_small_bundle(path, many), "expected at most 64 members, found 65")


def test_a_zip64_directory_is_refused(path):
    content = write_small_bundle(path).read_bytes()
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    path.write_bytes(content[:-22] + locator + content[-22:])
    refused(path, "expected a zip file in one part")


def test_a_bundle_is_told_from_other_files_by_its_start(path, tmp_path):
    assert is_bundle(write_small_bundle(path))
    path.write_bytes(path.read_bytes()[:100])
    assert is_bundle(path)  # damaged, but ours
    assert not is_bundle(write_zip(tmp_path / "b.zip", MEMBERS.items()))
    assert not is_bundle(tmp_path / "none")
    assert not is_bundle(tmp_path)
