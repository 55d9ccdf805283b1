"""Random damage to files: bytes that are changed, lost or added, and values of JSON that are replaced."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Damage = tuple[bytes, int]  # what the file then holds, and the first byte that differs

DEEP = "[" * 200_000
HUGE_WHOLE = "9" * 5000
EXTREMES = (b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\x7f" + b"\xff" * 7, b"%s%n%d\0\0")
NUMBERS = (b"-1", b"0", b"99999999999", b"1e999", b"NaN", b"100000", b"%s", b"2 2 2 2 2 2 2 2")
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 10**9, 10**30, 1.5, -0.5, float("inf"), float("nan")),
    *("", "x", "../../outside", "/etc/passwd", "a\0b", "a\x1b[2J", "\ud800", "[/x]", "=1+1", [], {}, [None], {"x": 1}),
)
LITERALS = (DEEP, HUGE_WHOLE, "1e999", "-1e999", '"\\ud800"', "0x10", "")


@dataclass(frozen=True)
class Kinds:
    """Which damage a file of a kind is given: to its bytes, to the numbers of its text, or to its values."""

    text: bool = False
    json: bool = False


def damaged(rng: random.Random, content: bytes, kinds: Kinds) -> Damage:
    """The content with one damage, or up to three."""
    ways: list[Callable[[random.Random, bytes], bytes]] = [_flip, _set, _extreme, _cut, _lose, _repeat, _add, _replace]
    if kinds.text:
        ways += [_number] * 6
    if kinds.json:
        ways = [*ways[:4], *[_value] * 12, _literal, _literal]
    changed = content
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = rng.choice(ways)(rng, changed) if changed else changed
    first = next((at for at, (old, new) in enumerate(zip(content, changed, strict=False)) if old != new), None)
    return changed, min(len(content), len(changed)) if first is None else first


def _flip(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def _set(rng: random.Random, content: bytes) -> bytes:
    """One byte of the first 512, where headers are."""
    at = rng.randrange(min(512, len(content)))
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _extreme(rng: random.Random, content: bytes) -> bytes:
    value = rng.choice(EXTREMES)[: rng.choice((1, 2, 4, 8))]
    at = rng.randrange(min(512, len(content))) if rng.random() < 0.7 else rng.randrange(len(content))
    return content[:at] + value + content[at + len(value) :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _lose(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randrange(1, 64) :]


def _repeat(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[: at + 32] + content[at:]


def _add(rng: random.Random, content: bytes) -> bytes:
    return content + rng.randbytes(rng.randrange(1, 64))


def _replace(rng: random.Random, content: bytes) -> bytes:
    return rng.choice((b"", b"\0" * 100, rng.randbytes(200), b"\xff\xfe" + content, content * 2))


def _number(rng: random.Random, content: bytes) -> bytes:
    """A word after a space, a colon or an equals sign in the first 2000 bytes becomes an odd number."""
    starts = [at + 1 for at, letter in enumerate(content[:2000]) if letter in b" :="]
    if not starts:
        return _set(rng, content)
    start = rng.choice(starts)
    end = start
    while end < len(content) and content[end] not in b" \n\r":
        end += 1
    return content[:start] + rng.choice(NUMBERS) + content[end:]


def _value(rng: random.Random, content: bytes) -> bytes:
    """A value somewhere in the JSON is replaced, removed, doubled or given another name."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return _flip(rng, content)
    places = list(_places(data))
    if not places:
        return _literal(rng, content)
    holder, key = rng.choice(places)
    way = rng.random()
    if way < 0.7:
        holder[key] = rng.choice(VALUES)
    elif way < 0.8:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, rng.choice((holder[key], *VALUES)))
    else:
        holder[str(rng.choice(VALUES))] = holder.pop(key) if way < 0.9 else holder[key]
    return json.dumps(data).encode()


def _literal(rng: random.Random, content: bytes) -> bytes:
    """A value is replaced by text that JSON has, or does not have, in a way that parsers stumble over."""
    try:
        data = json.loads(content)
        holder, key = rng.choice(list(_places(data)))
        holder[key] = "@@@"
    except (ValueError, RecursionError, IndexError):
        return _flip(rng, content)
    return json.dumps(data).replace('"@@@"', rng.choice(LITERALS)).encode()


def _places(data: Any) -> Any:
    """(holder, key) of each value in the data."""
    if isinstance(data, dict):
        keys: Any = list(data)
    else:
        keys = range(len(data)) if isinstance(data, list) else ()
    for key in keys:
        yield data, key
        yield from _places(data[key])
