"""Writes the JSON schemas of plans.json and of ONNX descriptions from the dataclasses that check these files.

python docs/schemas/make_schemas.py
"""

import json
import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from mednca_pipeline.deploy import onnx_description
from mednca_pipeline.deploy.onnx_description import GraphDescription
from mednca_pipeline.models.registry import MODELS
from mednca_pipeline.plans import plans
from mednca_pipeline.plans.plans import ConfigPlan, Plans
from mednca_pipeline.runtime.records import Between

FOLDER = Path(__file__).parent
PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean"}


def schema_of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """What runtime.records.from_dict takes for a value of type `kind`. Dataclasses go into `definitions`."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return {**schema_of(args[0], definitions), **limits(args[1:])}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if arg is type(None) else schema_of(arg, definitions) for arg in args]}
    if origin is tuple and args[-1] is not Ellipsis:
        items = [schema_of(arg, definitions) for arg in args]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is tuple:
        return {"type": "array", "items": schema_of(args[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(args[1], definitions)}
    if is_dataclass(kind):
        definitions.setdefault(kind.__name__, {})
        definitions[kind.__name__] = definitions[kind.__name__] or record(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return {"type": PLAIN[kind]} if kind in PLAIN else {}


def limits(checks: tuple[Any, ...]) -> dict[str, Any]:
    """The ends of a number's range."""
    ends = {name: end for check in checks if isinstance(check, Between) for name, end in vars(check).items()}
    names = {"low": "minimum", "high": "maximum"}
    return {names[name]: end for name, end in ends.items() if math.isfinite(end)}


def record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    properties = {one.name: schema_of(hints[one.name], definitions) for one in fields(kind)}
    if kind is ConfigPlan:
        models = {name: schema_of(model.plan, definitions) for name, model in MODELS.items()}
        properties["models"] = {"type": "object", "properties": models, "additionalProperties": False}
    return {
        "description": (kind.__doc__ or "").split("\n\n")[0].strip(),
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def plans_schema() -> dict[str, Any]:
    return file_schema(Plans, "plans.json of mednca_pipeline", plans.SCHEMA)


def onnx_schema() -> dict[str, Any]:
    return file_schema(GraphDescription, "what stands beside an ONNX graph of mednca_pipeline", onnx_description.SCHEMA)


def file_schema(kind: Any, title: str, number: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    top = record(kind, definitions)
    top["properties"]["schema"] = {"const": number}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, **top, "$defs": dict(sorted(definitions.items()))}


FILES = {"plans.schema.json": plans_schema, "onnx.schema.json": onnx_schema}


def text(name: str) -> str:
    return json.dumps(FILES[name](), indent=1) + "\n"


if __name__ == "__main__":
    for file in FILES:
        (FOLDER / file).write_text(text(file), encoding="utf-8")
