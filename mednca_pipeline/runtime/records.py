"""Frozen dataclasses from what JSON gave back. Every value is checked against the type of its field."""

import math
import types
import typing
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar

from .errors import InputError
from .names import check_name
from .printing import printable

Record = TypeVar("Record")

_NAMES: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object",
}
_REMEDY = "Correct it, or make the file again."
_FINITE = "a number that is finite"


@dataclass(frozen=True)
class Between:
    """What a number must lie between, both ends included, as Annotated[int, Between(1, 8)]."""

    low: float
    high: float = math.inf

    def check(self, where: str, value: Any) -> None:
        if not self.low <= value <= self.high:
            expected = f"at least {self.low:g}" if math.isinf(self.high) else f"from {self.low:g} to {self.high:g}"
            raise _wrong(where, expected, value)


@dataclass(frozen=True)
class AnyNumber:
    """A number that may be infinite or NaN. All others must be finite."""

    def check(self, where: str, value: Any) -> None:
        pass


@dataclass(frozen=True)
class PathPart:
    """A text that becomes a part of paths."""

    def check(self, where: str, value: Any) -> None:
        check_name(where, value)


Count = Annotated[int, Between(1, 10**15)]
Index = Annotated[int, Between(0, 10**15)]
Side = Annotated[int, Between(1, 65_536)]  # in voxels or cells
Share = Annotated[float, Between(0, 1)]
Positive = Annotated[float, Between(1e-9, 1e12)]
Measured = Annotated[float, AnyNumber()]
Name = Annotated[str, PathPart()]


def from_dict(cls: type[Record], data: object, where: str = "") -> Record:
    """Builds the dataclass `cls` from JSON values, nested ones as well.

    Fields may be dataclasses, tuples, dicts, optional, Literal, plain types, or one of these with a check, such as
    `Count` above. Floats are finite unless they are `Measured`. Dataclasses stay as they are.
    where: the place of the data for messages, such as "plans.json: configs.2d".
    Raises InputError that names the field, what it takes and what was found.
    """
    return _value(cls, data, where)


def _value(cls: Any, data: Any, where: str) -> Any:
    origin, args = typing.get_origin(cls), typing.get_args(cls)
    if origin is Annotated:
        return _annotated(args, data, where)
    if cls is Any or (is_dataclass(data) and not isinstance(data, type)):
        return data
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        kinds = [arg for arg in args if arg is not type(None)]
        fitting = [kind for kind in kinds if type(data) in (kind, *typing.get_args(kind)[:1])]
        return _value((fitting or kinds)[0], data, where)
    if origin is typing.Literal:
        if not isinstance(data, str | int) or data not in args or type(data) not in map(type, args):
            raise _wrong(where, " or ".join(repr(arg) for arg in args), data)
        return data
    if is_dataclass(cls):
        return _record(cls, data, where)
    if origin is tuple or cls is tuple:
        return _tuple(args, data, where)
    if origin is dict or cls is dict:
        if not isinstance(data, dict):
            raise _wrong(where, _NAMES[dict], data)
        named, kind = args or (str, Any)
        return {_value(named, key, where): _value(kind, value, _inside(where, key)) for key, value in data.items()}
    return _plain(cls, data, where)


def _record(cls: Any, data: Any, where: str) -> Any:
    """A dataclass from an object. A field that is absent keeps its default."""
    if not isinstance(data, dict):
        raise _wrong(where, f"an object with the fields of {cls.__name__}", data)
    hints, known = typing.get_type_hints(cls, include_extras=True), {field.name: field for field in fields(cls)}
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
    values = {name: _value(hints[name], value, _inside(where, name)) for name, value in data.items()}
    try:
        return cls(**values)
    except InputError as error:  # of a check in __post_init__
        raise (error.at(where) if where else error) from error


def _annotated(args: tuple[Any, ...], data: Any, where: str) -> Any:
    """A value of the first type, checked by what else the annotation says."""
    kind, *checks = args
    value = _plain(kind, data, where, finite=False) if kind is float else _value(kind, data, where)
    for check in checks:
        if isinstance(value, float) and not isinstance(check, AnyNumber) and not math.isfinite(value):
            raise _wrong(where, _FINITE, data)
        check.check(where, value)
    return value


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


def _plain(cls: type, data: Any, where: str, finite: bool = True) -> Any:
    """A text, number or truth value. A whole number in a float's place becomes a float."""
    if cls is float and type(data) in (int, float):
        try:
            value = float(data)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value) and (finite or type(data) is int):
            raise _wrong(where, _FINITE, data)
        return value
    if type(data) is not cls:
        raise _wrong(where, _NAMES.get(cls, cls.__name__), data)
    return data


def _wrong(where: str, expected: str, found: Any) -> InputError:
    text = repr(found)
    return InputError(where, expected, f"{text[:60]}{'...' * (len(text) > 60)}", _REMEDY)


def _inside(where: str, name: str) -> str:
    """ "plans.json", "configs" -> "plans.json: configs"; "plans.json: configs", "2d" -> "plans.json: configs.2d"."""
    separator = "." if ": " in where else ": "
    return f"{where}{separator}{printable(name)}" if where else printable(name)
