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


def write_json(path: Path, data: Any) -> None:
    """Writes `data` (a dataclass, or what JSON knows) with sorted keys, and null for NaN, which JSON does not know."""
    data = asdict(data) if is_dataclass(data) else data
    write_text(path, json.dumps(_null_for_nan(data), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path, schema: int | None = None) -> Any:
    """Reads a JSON file. Raises InputError when it is missing, no JSON, or of another `schema` than asked for."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if schema is not None:
        found = data.get("schema") if isinstance(data, dict) else None
        if found != schema:
            raise InputError(
                f"{path}: expected schema {schema}, found {found}. "
                "It was written by another version of mednca_pipeline: make it again with this one."
            )
    return data


def _null_for_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _null_for_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_null_for_nan(value) for value in data]
    return None if isinstance(data, float) and math.isnan(data) else data
