"""Preprocessed cases on disk: image and labels as chunked blosc2 arrays, readable in part, and their properties."""

import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import blosc2
import numpy as np

from ..runtime.errors import InputError
from ..runtime.files import read_json, replacing, require_file, write_text
from ..runtime.labels import Labels
from ..runtime.preprocessing_steps import Frame
from ..runtime.records import Count, from_dict

SCHEMA = 2  # 1: the frame was shapes, whose steps stood in the plan
_PROPERTIES = ".properties.json"
REMEDY = "Run mednca_plan_and_preprocess with --force for this dataset."
SAMPLED_VOXELS = 1000  # per output and case
CHUNK_BYTES = 1 << 20  # about what fits a core's cache
MAX_BLOCK = {2: (1, 512, 512), 3: (32, 64, 64)}  # voxels per axis (S, H, W) that one read decompresses at least
MMAP = {} if os.name == "nt" else {"mmap_mode": "r"}  # as nnU-Net: an open mapping cannot be replaced on Windows


@dataclass(frozen=True)
class CaseProperties:
    """What training and the next preprocessing run need to know of a case without reading its arrays.

    digest: of the plan and labels that made it. sources: (file name, bytes, modification time in ns) of its raw files.
    shape: of the labels, (S, H, W). slices: per output, the indices along S that show it.
    voxels: per output, up to SAMPLED_VOXELS of its voxels as indices into the flattened (S, H, W).
    checksums: CRC-32 of the files "image" and "labels", as blosc2 reads damaged files without a word; {} in cases of
    earlier versions.
    """

    digest: str
    sources: tuple[tuple[str, int, int], ...]
    frame: Frame
    shape: tuple[Count, Count, Count]
    slices: dict[str, tuple[int, ...]]
    voxels: dict[str, tuple[int, ...]]
    checksums: dict[str, int] = field(default_factory=dict, compare=False)  # files of equal arrays may differ
    schema: int = SCHEMA

    def checked(self, where: str) -> "CaseProperties":
        """These properties. Raises InputError where slices or voxels lie outside the case."""
        for name, most in (("slices", self.shape[0]), ("voxels", math.prod(self.shape))):
            for output, indices in getattr(self, name).items():
                if indices and not 0 <= min(indices) <= max(indices) < most:
                    found = f"{min(indices)} to {max(indices)}"
                    raise InputError(f"{where}: {name}.{output}", f"indices from 0 to {most - 1}", found, REMEDY)
        return self


class CaseStore:
    """The folder of one configuration's preprocessed cases.

    Arrays are opened at every call: that takes 0.1 ms, reads nothing but a header, and keeps no file open.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def cases(self) -> list[str]:
        """Names of all finished cases, sorted."""
        files = (path.name for path in self.folder.glob(f"*{_PROPERTIES}"))
        return sorted(name.removesuffix(_PROPERTIES) for name in files if not name.startswith("."))

    def image(self, case: str) -> blosc2.NDArray:
        """float32 (C, S, H, W), not yet read. Raises InputError when it is missing or damaged."""
        return self._open(case, self._image_file(case), "image")

    def labels(self, case: str) -> blosc2.NDArray:
        """Integer (S, H, W), not yet read. Raises InputError when it is missing or damaged."""
        return self._open(case, self._labels_file(case), "labels")

    def properties(self, case: str) -> CaseProperties:
        """Raises InputError when the case was not preprocessed, or by another version."""
        file = self._properties_file(case)
        data = read_json(file, schema=SCHEMA)
        # Thousands of plain integers: not worth a recursive conversion.
        slices, voxels = (_indices(data.pop(name, None), f"{file}: {name}") for name in ("slices", "voxels"))
        properties = from_dict(CaseProperties, {**data, "slices": {}, "voxels": {}}, str(file))
        return replace(properties, slices=slices, voxels=voxels).checked(str(file))

    def require(self, cases: Iterable[str], digest: str) -> None:
        """Raises InputError unless all `cases` were preprocessed with the plan and labels of this digest."""
        bad = [case for case in cases if not self.is_made_with(case, digest)]
        if bad:
            names = f"{', '.join(bad[:5])}{', ...' if len(bad) > 5 else ''}"
            raise InputError(
                self.folder,
                "cases preprocessed with the present plan",
                f"{len(bad)} cases that were not ({names})",
                "Run mednca_plan_and_preprocess for this dataset again.",
            )

    def is_made_with(self, case: str, digest: str) -> bool:
        try:
            return self.properties(case).digest == digest
        except InputError:
            return False

    def write(self, case: str, image: np.ndarray, labels: np.ndarray, properties: CaseProperties, dim: int) -> None:
        """Stores one case; its properties come last, so a case that has them is complete.

        image: float32 (C, S, H, W). labels: integer (S, H, W). dim: 2 when it will be read slice by slice, else 3.
        """
        self._properties_file(case).unlink(missing_ok=True)
        _write_array(self._image_file(case), image, dim)
        _write_array(self._labels_file(case), labels, dim)
        files = {"image": self._image_file(case), "labels": self._labels_file(case)}
        checksums = {name: _crc32(file) for name, file in files.items()}
        stored = asdict(replace(properties, checksums=checksums))
        text = json.dumps(stored, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        write_text(self._properties_file(case), text + "\n")

    def delete(self, case: str) -> None:
        """Removes one case, its properties first: an interruption leaves nothing that looks complete."""
        for file in (self._properties_file(case), self._image_file(case), self._labels_file(case)):
            file.unlink(missing_ok=True)

    def _image_file(self, case: str) -> Path:
        return self.folder / f"{case}.image.b2nd"

    def _labels_file(self, case: str) -> Path:
        return self.folder / f"{case}.labels.b2nd"

    def _properties_file(self, case: str) -> Path:
        return self.folder / f"{case}{_PROPERTIES}"

    def _open(self, case: str, path: Path, kind: Literal["image", "labels"]) -> blosc2.NDArray:
        where = f"Case {case}: the preprocessed file {path}"
        try:
            state = require_file(path, "a preprocessed array", REMEDY).stat()
            shape = _intact_shape(path, state.st_size, state.st_mtime_ns, case, kind)
            if shape is None:
                raise InputError(where, "an intact file", "a wrong checksum", REMEDY)
            array = blosc2.open(str(path), mode="r", **MMAP)
        except InputError:
            raise
        except Exception as error:  # of blosc2, whose errors for damaged files share no class
            raise InputError(where, "a preprocessed array", f"a missing or damaged file ({error})", REMEDY) from error
        axes, types = {"image": (4, "f"), "labels": (3, "iu")}[kind]
        plain = type(array) is blosc2.NDArray and array.dtype.kind in types  # no lazy array, which computes
        if not plain or array.ndim != axes or array.shape[-3:] != shape:
            found = f"{type(array).__name__} {getattr(array, 'shape', '')}"
            raise InputError(where, f"a plain array {shape}", found, REMEDY)
        return array


def _indices(data: Any, where: str) -> dict[str, tuple[int, ...]]:
    """Per output its indices. Raises InputError for anything else."""
    if not isinstance(data, dict):
        raise InputError(where, "an object of lists", f"{data!r:.60}", REMEDY)
    for output, values in data.items():
        if not isinstance(values, list) or not set(map(type, values)) <= {int}:
            raise InputError(f"{where}.{output}", "a list of whole numbers", f"{values!r:.60}", REMEDY)
    return {output: tuple(values) for output, values in data.items()}


@lru_cache(maxsize=2**17)
def _intact_shape(path: Path, size: int, changed_ns: int, case: str, kind: str) -> tuple[int, ...] | None:
    """The shape (S, H, W) by the case's properties; None where the file has not the checksum that they state.

    A process reads each state of a file only once.
    """
    properties = CaseStore(path.parent).properties(case)
    known = properties.checksums
    return properties.shape if kind not in known or known[kind] == _crc32(path) else None


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            value = zlib.crc32(piece, value)
    return value


def foreground_index(
    target: np.ndarray, labels: Labels, case: str
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Per output: indices of the slices that show it, and up to SAMPLED_VOXELS of its voxels (flat indices)."""
    seed = int.from_bytes(hashlib.sha256(os.fsencode(case)).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    slices, voxels = {}, {}
    for name, mask in labels.masks(target):
        found = np.flatnonzero(mask)
        slices[name] = tuple(np.unique(found // mask[0].size).tolist())
        if found.size > SAMPLED_VOXELS:
            found = np.sort(rng.choice(found, SAMPLED_VOXELS, replace=False))
        voxels[name] = tuple(found.tolist())
    return slices, voxels


def chunks_and_blocks(shape: tuple[int, ...], itemsize: int, dim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunk (unit of compression) and block (unit of decompression) of an array (..., S, H, W).

    A block lies within one slice for dim 2, so a slice is read without its neighbours; a chunk is as many whole
    blocks as fit CHUNK_BYTES, along W first. Leading axes (channels) have one entry per chunk.
    """
    spatial = shape[-3:]
    block = [min(size, most) for size, most in zip(spatial, MAX_BLOCK[dim], strict=True)]
    chunk = list(block)
    for axis in (2, 1, 0):
        room = CHUNK_BYTES // (int(np.prod(chunk)) * itemsize)
        chunk[axis] = min(spatial[axis], block[axis] * max(1, room))
    leading = (1,) * (len(shape) - 3)
    return (*leading, *chunk), (*leading, *block)


def _write_array(path: Path, array: np.ndarray, dim: int) -> None:
    chunks, blocks = chunks_and_blocks(array.shape, array.itemsize, dim)
    compression = {"codec": blosc2.Codec.ZSTD, "clevel": 1, "nthreads": 1}
    with replacing(path) as temporary:
        array = np.ascontiguousarray(array)
        blosc2.asarray(array, urlpath=str(temporary), mode="w", chunks=chunks, blocks=blocks, cparams=compression)
