"""Files written whole or not at all, flushed to the disk where asked for, and JSON."""

import contextlib
import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .temporary import temporary_name, tidy_once

_REMEDY = "Correct it, or make it again."
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # the escape of one half; JSON has some characters as two of these


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yields a temporary path in the same folder (same endings), moved onto `path` when the block succeeds.

    durable: flushed to the disk, so that not even a power cut loses it. What killed processes left in the folder is
    removed at the first call for it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy_once(path.parent)
    temporary = path.with_name(temporary_name(path.name))
    try:
        yield temporary
        if durable:
            flush(temporary)
        os.replace(temporary, path)
        if durable:
            flush(path.parent)
    except OSError as error:
        if error.filename in (temporary, str(temporary)):
            error.filename, error.filename2 = str(path), None  # the name that the user knows
        raise
    finally:
        with contextlib.suppress(OSError):  # of a folder that is forbidden, or on a disk that is gone
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Has the system write a file, or the names in a folder, to the disk. Where it cannot do so it does nothing."""
    with contextlib.suppress(OSError):  # folders on Windows, and some network disks
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def state_of(path: Path) -> tuple[int, ...] | None:
    """What changes whenever `replacing` writes a file: to read it again only then. None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def no_link(path: str, flags: int) -> int:
    """An opener for `open` that refuses a symbolic link, which could have us write anywhere."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Writes UTF-8. A file name in the text that is not UTF-8 has its odd bytes as in Python: \\udcff."""
    with replacing(path, durable) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: Path, data: object, durable: bool = False) -> None:
    """Writes `data` (a dataclass, or what JSON knows) with sorted keys, and null for NaN, which JSON does not know."""
    write_text(path, json_text(data), durable)


def json_text(data: object) -> str:
    """What `write_json` writes."""
    data = asdict(data) if is_dataclass(data) and not isinstance(data, type) else data
    return json.dumps(_null_for_nan(data), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def require_file(path: Path, kind: str, remedy: str = "Check the path.") -> Path:
    """The path. Raises InputError unless it is a file: a pipe would wait for ever. kind: what it should be."""
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "a pipe or a device" if path.exists() else "no such file"
        raise InputError(path, kind, found, remedy)
    return path


def read_text(path: Path, kind: str) -> str:
    """The text of a file in UTF-8. kind: what it should be, such as "a JSON file". Raises InputError."""
    try:
        return require_file(path, kind).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, f"{kind} in UTF-8", f"something else ({error})", _REMEDY) from error


def read_json(path: Path, schema: int | None = None) -> Any:
    """Reads a JSON file. Raises InputError when it is missing, is not JSON, or has another `schema` than asked for."""
    path = Path(path)
    return parse_json(read_text(path, "a JSON file"), path, schema)


def parse_json(text: str, where: object, schema: int | None = None) -> Any:
    """The values of a JSON text. where: its place, for messages. Raises InputError as `read_json`."""
    try:
        data = json.loads(text, parse_float=_finite)
        if _HALF_CHARACTER.search(text):
            json.dumps(data, ensure_ascii=False).encode(
                errors="surrogateescape"
            )  # names that are not UTF-8 are allowed
    except RecursionError:
        raise InputError(where, "valid JSON", "values that are nested too deeply", _REMEDY) from None
    except ValueError as error:  # no JSON, a number of thousands of digits, or half of a character
        raise InputError(where, "valid JSON", f"something else ({error})", _REMEDY) from error
    if schema is not None:
        found = data.get("schema") if isinstance(data, dict) else None
        if found != schema:
            remedy = "Make it again with this version of mednca_pipeline: another one wrote it."
            raise InputError(where, f"schema {schema}", "none" if found is None else str(found), remedy)
    return data


def read_csv(path: Path, separators: str = ",") -> list[list[str]]:
    """The cells of a CSV file, line by line. separators: the last of these that it contains separates the cells."""
    text = read_text(path, "a CSV file")
    separator = next((mark for mark in reversed(separators) if mark in text), separators[0])
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise InputError(path, "a CSV file", f"something else ({error})", _REMEDY) from error


def _finite(digits: str) -> float:
    """A number as JSON writes it. Infinity has a word of its own there."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"a number that is too large: {digits[:20]}")
    return number


def _null_for_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _null_for_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_null_for_nan(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data
