"""Bundles as a forger would make them, for hypothesis: a real one with other values, members, sums, headers, bytes."""

import copy
import hashlib
import io
import json
import random
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import load, save

from benchmarks.mutations import VALUES, Kinds, damaged
from mednca_pipeline.models.registry import plans_from
from mednca_pipeline.runtime.bundle import MANIFEST
from mednca_pipeline.runtime.errors import InputError

Draw = Any  # of a composite strategy

NAMES = (
    "../../x.json",
    "/etc/x.json",
    "C:\\x.json",
    "a/b/c.json",
    "README.MD",
    "plans.json",
    "x\n.json",
    "",
    "x",
    ".x",
)
DTYPES = (np.float32, np.float16, np.float64, np.int8, np.uint8)
# Offset and format in a member's entry of the directory: flags, method, sum, sizes, attributes, place.
ENTRY = ((8, "<H"), (10, "<H"), (16, "<L"), (20, "<L"), (24, "<L"), (28, "<H"), (30, "<H"), (38, "<L"), (42, "<L"))
END = ((4, "<H"), (8, "<H"), (10, "<H"), (12, "<L"), (16, "<L"), (20, "<H"))  # the same of the last 22 bytes


@dataclass(repr=False)  # which would be printed with every failure
class Forgery:
    """What is made into a zip. members: by name. sums: of the manifest; None for the right ones.

    twice: names that come again at the end. stored: whether members are not compressed. links: names that say they are
    symbolic links.
    """

    members: dict[str, bytes]
    manifest: dict[str, Any]
    sums: dict[str, Any] | None = None
    twice: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    stored: bool = False

    def __repr__(self) -> str:
        return "Forgery"

    def zipped(self) -> bytes:
        sums = self.sums or {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in self.members.items()
        }
        manifest = json.dumps({**self.manifest, "members": sums}).encode("utf-8", "surrogatepass")
        out = io.BytesIO()
        with warnings.catch_warnings(), ZipFile(out, "w") as archive:
            warnings.simplefilter("ignore")  # of names that come twice
            for name, content in [(MANIFEST, manifest), *self.members.items(), *((name, b"x") for name in self.twice)]:
                info = ZipInfo(name or "x")
                info.create_system = 3
                info.external_attr = (0o120777 if name in self.links else 0o100644) << 16
                archive.writestr(info, content, ZIP_STORED if self.stored else ZIP_DEFLATED, compresslevel=1)
        return out.getvalue()


@dataclass(repr=False)
class Zipped:
    """The bytes of a file, of which hypothesis would print all."""

    content: bytes

    def __repr__(self) -> str:
        return f"Zipped({len(self.content)} bytes)"


def read_original(path: Path) -> Forgery:
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return Forgery(members, json.loads(members.pop(MANIFEST)))


def forgeries(original: Forgery) -> st.SearchStrategy[Zipped]:
    """Bundles with some changes, or none."""

    @st.composite
    def forged(draw: Draw) -> Zipped:
        made = Forgery(dict(original.members), copy.deepcopy(original.manifest), stored=draw(st.booleans()))
        for _ in range(draw(st.integers(0, 3))):
            draw(st.sampled_from(CHANGES))(draw, made)
        content = made.zipped()
        if draw(st.integers(0, 3)) == 0:
            content = draw(st.sampled_from((_header, _bytes)))(draw, content)
        return Zipped(content)

    return forged()


def _one_of(draw: Draw, made: Forgery, ending: str) -> str:
    """The name of a member with this ending, "" where changes that were made before left none."""
    return str(draw(st.sampled_from([name for name in made.members if name.endswith(ending)] or [""])))


def _json_value(draw: Draw, made: Forgery) -> None:
    """A value of a JSON member, with the digest of the plans as a forger would mend it."""
    name = _one_of(draw, made, ".json")
    try:
        values = json.loads(made.members[name])
    except (KeyError, ValueError):  # of a change that was made before
        return
    _change_inside(draw, values)
    made.members[name] = json.dumps(values).encode("utf-8", "surrogatepass")
    if name == "plans.json" and draw(st.booleans()):
        _mend_digests(made)


def _change_inside(draw: Draw, values: Any) -> None:
    place = values
    while isinstance(place, dict | list):
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 4)):
            place = place[key]
            continue
        how = draw(st.sampled_from(("other", "other", "near", "gone", "more")))
        if how == "other":
            place[key] = draw(st.sampled_from(VALUES) | st.integers(0, 9) | st.text(max_size=5))
        elif how == "near" and isinstance(place[key], int | float):
            place[key] = place[key] + draw(st.sampled_from((-1, 1, 0.5)))
        elif how == "gone":
            del place[key]
        elif isinstance(place, dict):
            place[draw(st.text(max_size=5))] = place[key]
        else:
            place.append(place[key])
        return


def _mend_digests(made: Forgery) -> None:
    try:
        plans, model = plans_from(json.loads(made.members["plans.json"]), ""), json.loads(made.members["model.json"])
        digest = plans.digest(model["config"], model["model"])
        for name in ("quality.json", "postprocessing.json"):
            made.members[name] = json.dumps({**json.loads(made.members[name]), "digest": digest}).encode()
    except (InputError, KeyError, TypeError, ValueError, AttributeError):  # of changes that were made before
        pass


def _weights(draw: Draw, made: Forgery) -> None:
    name = _one_of(draw, made, ".safetensors")
    if not name:
        return
    how = draw(st.sampled_from(("shape", "dtype", "value", "gone", "more", "bytes")))
    if how == "bytes":
        made.members[name] = draw(st.binary(max_size=200))
        return
    try:
        arrays = load(made.members[name])
    except Exception:  # of a change that was made before
        return
    tensor = draw(st.sampled_from(sorted(arrays) or [""]))
    if not tensor:
        return
    array = arrays[tensor]
    if how == "shape":
        arrays[tensor] = np.zeros(draw(st.lists(st.integers(0, 5), max_size=5)), array.dtype)
    elif how == "dtype":
        arrays[tensor] = np.zeros(array.shape, draw(st.sampled_from(DTYPES)))
    elif how == "value" and array.size:
        array = array.copy()
        array.reshape(-1)[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from((np.nan, np.inf, 6e4, 0)))
        arrays[tensor] = array
    elif how == "gone":
        del arrays[tensor]
    else:
        arrays[draw(st.text(max_size=8))] = array
    made.members[name] = save(arrays)


def _members(draw: Draw, made: Forgery) -> None:
    name = _one_of(draw, made, "")
    how = draw(st.sampled_from(("rename", "drop", "twice", "link", "more", "bomb", "content")))
    if not name:
        return
    if how == "rename":
        made.members[draw(st.sampled_from(NAMES) | st.text(max_size=8).filter(_encodes))] = made.members.pop(name)
    elif how == "drop":
        del made.members[name]
    elif how == "twice":
        made.twice.append(name)
    elif how == "link":
        made.links.append(name)
    elif how == "bomb":
        made.members["fold_7/final.safetensors"] = bytes(2 ** draw(st.integers(10, 24)))
    elif how == "more":
        made.members[draw(st.sampled_from(NAMES))] = draw(st.binary(max_size=50))
    else:
        made.members[name] = draw(st.binary(max_size=50))


def _sums(draw: Draw, made: Forgery) -> None:
    """Sums that are not those of the members any more, or are none."""
    sums: Any = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in made.members.items()
    }
    _change_inside(draw, sums)
    made.sums = sums


def _manifest(draw: Draw, made: Forgery) -> None:
    _change_inside(draw, made.manifest)


def _header(draw: Draw, content: bytes) -> bytes:
    """A field of the directory, or of the last record."""
    starts = [at for at in range(len(content) - 46) if content.startswith(b"PK\x01\x02", at)][:20]
    start = draw(st.sampled_from([*starts, len(content) - 22]))
    offset, kind = draw(st.sampled_from(END if start == len(content) - 22 else ENTRY))
    size = struct.calcsize(kind)
    old = int.from_bytes(content[start + offset : start + offset + size], "little")
    most = 256**size - 1
    new = draw(st.sampled_from((0, 1, old + 1, old - 1, old * 2, 2**31, most)) | st.integers(0, most))
    value = struct.pack(kind, max(0, min(new, most)))
    return content[: start + offset] + value + content[start + offset + size :]


def _bytes(draw: Draw, content: bytes) -> bytes:
    changed, _ = damaged(random.Random(draw(st.integers(0, 2**32))), content, Kinds())
    return changed


def _encodes(text: str) -> bool:
    return text.isprintable()


CHANGES = (_json_value, _json_value, _json_value, _json_value, _weights, _weights, _members, _sums, _manifest)
