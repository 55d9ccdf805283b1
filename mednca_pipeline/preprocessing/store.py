"""Preprocessed cases on disk: image and labels as chunked blosc2 arrays, readable in part, and their properties."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import blosc2
import numpy as np

from ..runtime.errors import InputError
from ..runtime.files import read_json, replacing, write_text
from ..runtime.labels import Labels
from ..runtime.preprocessing_steps import Frame
from ..runtime.records import from_dict

SCHEMA = 2  # 1: the frame was shapes, whose steps stood in the plan
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
    """

    digest: str
    sources: tuple[tuple[str, int, int], ...]
    frame: Frame
    shape: tuple[int, int, int]
    slices: dict[str, tuple[int, ...]]
    voxels: dict[str, tuple[int, ...]]
    schema: int = SCHEMA


class CaseStore:
    """The folder of one configuration's preprocessed cases.

    Arrays are opened at every call: that takes 0.1 ms, reads nothing but a header, and keeps no file open.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def cases(self) -> list[str]:
        """Names of all finished cases, sorted."""
        ending = ".properties.json"
        files = (path.name for path in self.folder.glob(f"*{ending}"))
        return sorted(name.removesuffix(ending) for name in files if not name.startswith("."))

    def image(self, case: str) -> blosc2.NDArray:
        """float32 (C, S, H, W), not yet read. Raises InputError when it is missing or damaged."""
        return self._open(case, self._image_file(case))

    def labels(self, case: str) -> blosc2.NDArray:
        """Integer (S, H, W), not yet read. Raises InputError when it is missing or damaged."""
        return self._open(case, self._labels_file(case))

    def properties(self, case: str) -> CaseProperties:
        """Raises InputError when the case was not preprocessed, or by another version."""
        data = read_json(self._properties_file(case), schema=SCHEMA)
        data["frame"] = from_dict(Frame, data["frame"])
        data["shape"], data["sources"] = tuple(data["shape"]), tuple(map(tuple, data["sources"]))
        for name in ("slices", "voxels"):  # thousands of plain integers: not worth a recursive conversion
            data[name] = {output: tuple(values) for output, values in data[name].items()}
        return CaseProperties(**data)

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
        text = json.dumps(asdict(properties), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
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
        return self.folder / f"{case}.properties.json"

    @staticmethod
    def _open(case: str, path: Path) -> blosc2.NDArray:
        try:
            return blosc2.open(str(path), mode="r", **MMAP)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                path,
                f"the preprocessed case {case}",
                f"that the file is missing or damaged ({error})",
                "Run mednca_plan_and_preprocess with --force for this dataset.",
            ) from error


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
