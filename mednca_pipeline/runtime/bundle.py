"""Reads a bundle, the one file that holds a trained model: a zip of JSON, Markdown, safetensors and ONNX.

docs/reference/bundle.md describes it. Nothing that a bundle says is believed before it is checked, nothing is written,
and nothing in it can be executed. The manifest's sums tell damage; they do not tell who made the file.
"""

import hashlib
import io
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from .errors import InputError
from .files import parse_json, require_file
from .records import Index, from_dict

ENDING, MANIFEST, SCHEMA = ".mednca", "manifest.json", 1
FORMAT: Final = "mednca bundle"
MOST_MEMBERS = 64
MOST_BYTES = 2**30  # of the file, and of all members together
MOST_TEXT_BYTES = 2**20  # of a member that is no weights and no graph
MOST_GROWTH = 20  # members together, as a multiple of the file's size: weights hardly shrink in a zip
WEIGHTS, GRAPH = ".safetensors", ".onnx"

_KIND = f"a model bundle ({ENDING})"
_REMEDY = "Copy or download it again."
_NAME = re.compile(r"(?:[A-Za-z0-9_]+/)?[A-Za-z0-9_]+(?:\.[a-z]+)+", re.ASCII)
_END = struct.Struct("<4s4H2LH")  # the record that ends a zip file without a comment
_LOCAL = struct.Struct("<4s5H3L2H")  # the header of a member
_ZIP64_LOCATOR = b"PK\x06\x07", 20  # its signature and its length


@dataclass(frozen=True)
class Member:
    """sha256: of the content, hexadecimal."""

    bytes: Index
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """manifest.json: what else is in the bundle.

    made_with: name and version of the program that wrote it. weights: how they are stored; they compute in float32.
    """

    format: Literal["mednca bundle"]
    members: dict[str, Member]
    made_with: str
    weights: Literal["float32", "float16"]
    schema: int = SCHEMA


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked as a whole. Its members are read when they are asked for, and checked again."""

    path: Path
    manifest: Manifest

    def read(self, name: str) -> bytes:
        """The content of a member. Raises InputError when it is not there, or not as the manifest says."""
        with _archive(self.path) as archive:
            return archive.checked(name, self.manifest)

    def json(self, name: str, schema: int | None = None) -> Any:
        """The values of a JSON member. Raises InputError as runtime.files.read_json."""
        return parse_json(_text(self.read(name), self.place(name)), self.place(name), schema)

    def place(self, name: str) -> str:
        """The name of a member in messages."""
        return f"{self.path}/{name}"

    def __contains__(self, name: str) -> bool:
        return name in self.manifest.members


def is_bundle(path: Path) -> bool:
    """Whether a file says that it is a bundle, damaged or not: its first member is the manifest."""
    start = b"PK\x03\x04"
    try:
        with path.open("rb") as file:
            head = file.read(_LOCAL.size + len(MANIFEST))
    except OSError:
        return False
    return head.startswith(start) and head[_LOCAL.size :] == MANIFEST.encode()


def open_bundle(path: Path) -> Bundle:
    """Reads a bundle once, and checks every member.

    Raises InputError for a file that is no bundle, damaged, cut off, too large, encrypted or of a later schema, and for
    members that the manifest does not name, that are not as it says, or whose names would lead elsewhere.
    """
    path = require_file(path, _KIND)
    with _archive(path) as archive:
        if MANIFEST not in archive.members:
            raise InputError(path, _KIND, f"a zip file without {MANIFEST}", "Check the path.")
        manifest = _manifest(archive.content(MANIFEST), f"{path}/{MANIFEST}")
        named, present = {*manifest.members, MANIFEST}, set(archive.members)
        for name in sorted(named ^ present):
            expected, found = ("a member", "none") if name in named else ("no such member", "one")
            raise InputError(f"{path}/{name}", f"{expected}, as the manifest says", found, _REMEDY)
        for name in manifest.members:
            archive.checked(name, manifest)
    return Bundle(path, manifest)


def _manifest(content: bytes, where: str) -> Manifest:
    data = parse_json(_text(content, where), where)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(where, f'an object with "format": "{FORMAT}"', f"{data!r:.60}", "Check the path.")
    if data.get("schema") != SCHEMA:
        remedy = "Install the version of mednca_pipeline that made it, or a later one."
        raise InputError(where, f"schema {SCHEMA}", f"{data.get('schema')!r:.60}", remedy)
    return from_dict(Manifest, data, where)


class _Archive:
    """The members of a zip file that keeps to a bundle's limits."""

    def __init__(self, path: Path, file: io.BufferedReader, members: dict[str, ZipInfo]) -> None:
        self.path, self.file, self.members = path, file, members

    def content(self, name: str) -> bytes:
        """The member's bytes, which are exactly as many as declared, with the right CRC-32."""
        info = self.members[name]
        self.file.seek(info.header_offset)
        signature, *_, name_bytes, extra_bytes = _LOCAL.unpack(self.file.read(_LOCAL.size))
        named = self.file.read(name_bytes) == name.encode()
        self.file.seek(extra_bytes, io.SEEK_CUR)
        stored = self.file.read(info.compress_size)
        content = stored if info.compress_type == ZIP_STORED else _inflated(stored, info.file_size)
        begins = signature == b"PK\x03\x04" and named
        if not begins or content is None or len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise self.damaged(name)
        return content

    def checked(self, name: str, manifest: Manifest) -> bytes:
        """The content, which is as the manifest says."""
        expected = manifest.members.get(name)
        if expected is None or name not in self.members:
            raise InputError(f"{self.path}/{name}", "a member", "none", _REMEDY)
        size = self.members[name].file_size
        if size != expected.bytes:
            raise InputError(f"{self.path}/{name}", f"{expected.bytes:,} bytes", f"{size:,}", _REMEDY)
        content = self.content(name)
        if hashlib.sha256(content).hexdigest() != expected.sha256:
            raise InputError(f"{self.path}/{name}", "the content that the manifest says", "another sum", _REMEDY)
        return content

    def damaged(self, name: str) -> InputError:
        return InputError(f"{self.path}/{name}", "a whole member", "a damaged one", _REMEDY)


@contextmanager
def _archive(path: Path) -> Iterator[_Archive]:
    try:
        with path.open("rb") as file:
            _check_end(path, file)
            with ZipFile(file) as opened:
                members = _members(path, opened.infolist(), file.seek(0, io.SEEK_END))
            yield _Archive(path, file, members)
    except (BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError) as error:
        raise InputError(path, _KIND, f"a damaged file ({error})", _REMEDY) from error


def _check_end(path: Path, file: io.BufferedReader) -> None:
    """The sizes that the last record declares, before zipfile reads what it declares."""
    size = file.seek(0, io.SEEK_END)
    if size > MOST_BYTES:
        raise InputError(path, f"at most {MOST_BYTES:,} bytes", f"{size:,}", "Check the path.")
    signature, length = _ZIP64_LOCATOR
    file.seek(max(0, size - _END.size - length))
    tail = file.read()
    end = tail[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise InputError(path, _KIND, "a file of something else, or one that is cut off", _REMEDY)
    _, disk, first_disk, here, members, directory, offset, comment = _END.unpack(end)
    if comment or disk or first_disk or here != members or tail[: -_END.size].startswith(signature):
        raise InputError(path, "a zip file in one part, without a comment", "another", _REMEDY)
    if members > MOST_MEMBERS:
        raise InputError(path, f"at most {MOST_MEMBERS} members", str(members), _REMEDY)
    if directory + offset + _END.size != size:
        raise InputError(path, _KIND, "a damaged file (its parts are not as long as declared)", _REMEDY)


def _members(path: Path, infos: list[ZipInfo], size: int) -> dict[str, ZipInfo]:
    """The members by name. Raises InputError for one that a bundle cannot have; their data are not read yet."""
    found: dict[str, ZipInfo] = {}
    for info in infos:
        if problem := _problem(info):
            raise InputError(f"{path}/{info.orig_filename}", *problem, _REMEDY)
        if info.filename.lower() in map(str.lower, found):
            raise InputError(f"{path}/{info.filename}", "each member once", "it twice", _REMEDY)
        found[info.filename] = info
    total = sum(info.file_size for info in infos)
    most = min(MOST_BYTES, MOST_GROWTH * size + MOST_TEXT_BYTES)
    if total > most or sum(info.compress_size for info in infos) > size:
        raise InputError(path, f"members of at most {most:,} bytes, as in a file of {size:,}", f"{total:,}", _REMEDY)
    return found


def _problem(info: ZipInfo) -> tuple[str, str] | None:
    """What was expected of a member and what was found, if anything is wrong with it."""
    if not _NAME.fullmatch(info.orig_filename):
        return "a file name, or one in a folder", "another name, which could lead elsewhere"
    if info.flag_bits & 0x41:
        return "no encryption", "an encrypted member"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "deflate or no compression", f"method {info.compress_type}"
    if (kind := stat.S_IFMT(info.external_attr >> 16)) not in (0, stat.S_IFREG):
        return "a plain file", "a symbolic link" if kind == stat.S_IFLNK else "something else"
    if not info.filename.endswith((WEIGHTS, GRAPH)) and info.file_size > MOST_TEXT_BYTES:
        return f"at most {MOST_TEXT_BYTES:,} bytes", f"{info.file_size:,}"
    return None


def _inflated(stored: bytes, size: int) -> bytes | None:
    """What deflate makes of `stored`, unless that is more than `size` or not all."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflate.decompress(stored, size + 1)
    return content if inflate.eof and not inflate.unused_data and not inflate.unconsumed_tail else None


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(where, "a text in UTF-8", f"something else ({error})", _REMEDY) from error
