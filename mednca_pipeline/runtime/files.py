"""Files written whole or not at all, and JSON."""

import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from .errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder (same endings), moved onto `path` when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, data: object) -> None:
    """Writes `data` (a dataclass, or what JSON knows) with sorted keys, and null for NaN, which JSON does not know."""
    data = asdict(data) if is_dataclass(data) and not isinstance(data, type) else data
    write_text(path, json.dumps(_null_for_nan(data), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


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
