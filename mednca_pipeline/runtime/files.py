"""Files written whole or not at all, flushed to the disk where asked for, and JSON."""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .temporary import temporary_name, tidy_once


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


def no_link(path: str, flags: int) -> int:
    """An opener for `open` that refuses a symbolic link, which could have us write anywhere."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Writes UTF-8. A file name in the text that is not UTF-8 has its odd bytes as in Python: \\udcff."""
    with replacing(path, durable) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: Path, data: object, durable: bool = False) -> None:
    """Writes `data` (a dataclass, or what JSON knows) with sorted keys, and null for NaN, which JSON does not know."""
    data = asdict(data) if is_dataclass(data) and not isinstance(data, type) else data
    write_text(path, json.dumps(_null_for_nan(data), indent=1, sort_keys=True, ensure_ascii=False) + "\n", durable)


def read_json(path: Path, schema: int | None = None) -> Any:
    """Reads a JSON file. Raises InputError when it is missing, is not JSON, or has another `schema` than asked for."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(path, "a JSON file", "no such file", "Check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, "valid JSON", f"something else ({error})", "Correct it, or make it again.") from error
    if schema is not None:
        found = data.get("schema") if isinstance(data, dict) else None
        if found != schema:
            remedy = "Make it again with this version of mednca_pipeline: another one wrote it."
            raise InputError(path, f"schema {schema}", "none" if found is None else str(found), remedy)
    return data


def _null_for_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _null_for_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_null_for_nan(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data
