"""Frozen dataclasses from what JSON gave back. Every value is checked against the type of its field."""

import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from .errors import InputError

Record = TypeVar("Record")

_NAMES: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
}
_REMEDY = "Correct it, or make the file again."


def from_dict(cls: type[Record], data: object, where: str = "") -> Record:
    """Builds the dataclass `cls` from JSON values, nested ones as well.

    Fields may be dataclasses, tuples, dicts, optional, Literal or plain types. Dataclasses stay as they are.
    where: the place of the data for messages, such as "plans.json: configs.2d".
    Raises InputError that names the field, what it takes and what was found.
    """
    return _value(cls, data, where)


def _value(cls: Any, data: Any, where: str) -> Any:
    origin, args = typing.get_origin(cls), typing.get_args(cls)
    if cls is Any or (is_dataclass(data) and not isinstance(data, type)):
        return data
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        kinds = [arg for arg in args if arg is not type(None)]
        fitting = [kind for kind in kinds if isinstance(kind, type) and type(data) is kind]
        return _value((fitting or kinds)[0], data, where)
    if origin is typing.Literal:
        if data not in args or type(data) not in map(type, args):
            raise _wrong(where, " or ".join(repr(arg) for arg in args), data)
        return data
    if is_dataclass(cls):
        return _record(cls, data, where)
    if origin is tuple or cls is tuple:
        return _tuple(args, data, where)
    if origin is dict or cls is dict:
        if not isinstance(data, dict):
            raise _wrong(where, _NAMES[dict], data)
        kind = args[1] if args else Any
        return {key: _value(kind, value, _inside(where, key)) for key, value in data.items()}
    return _plain(cls, data, where)


def _record(cls: Any, data: Any, where: str) -> Any:
    """A dataclass from an object. A field that is absent keeps its default."""
    if not isinstance(data, dict):
        raise _wrong(where, f"an object with the fields of {cls.__name__}", data)
    hints, known = typing.get_type_hints(cls), {field.name: field for field in fields(cls)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise InputError(where, f"the fields {', '.join(known)}", ", ".join(unknown), _REMEDY)
    missing = [
        name
        for name, field in known.items()
        if name not in data and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise InputError(where, f"the field {', '.join(missing)}", "none", _REMEDY)
    return cls(**{name: _value(hints[name], value, _inside(where, name)) for name, value in data.items()})


def _tuple(args: tuple[Any, ...], data: Any, where: str) -> tuple:
    if not isinstance(data, list | tuple):
        raise _wrong(where, "a list", data)
    if len(args) == 2 and args[1] is Ellipsis:
        kinds = [args[0]] * len(data)
    elif not args:
        kinds = [Any] * len(data)
    else:
        kinds = list(args)
    if len(kinds) != len(data):
        raise _wrong(where, f"a list of {len(kinds)}", data)
    pairs = enumerate(zip(kinds, data, strict=True))
    return tuple(_value(kind, value, f"{where}[{index}]") for index, (kind, value) in pairs)


def _plain(cls: type, data: Any, where: str) -> Any:
    """A text, number or truth value. A whole number in a float's place becomes a float."""
    if cls is float and type(data) in (int, float):
        try:
            value = float(data)
        except OverflowError:
            value = math.inf
        if math.isinf(value) and type(data) is int:
            raise _wrong(where, _NAMES[float], data)
        return value
    if type(data) is not cls:
        raise _wrong(where, _NAMES.get(cls, cls.__name__), data)
    return data


def _wrong(where: str, expected: str, found: Any) -> InputError:
    text = repr(found)
    return InputError(where, expected, f"{text[:60]}{'…' * (len(text) > 60)}", _REMEDY)


def _inside(where: str, name: str) -> str:
    """ "plans.json", "configs" -> "plans.json: configs"; "plans.json: configs", "2d" -> "plans.json: configs.2d"."""
    separator = "." if ": " in where else ": "
    return f"{where}{separator}{name}" if where else name
