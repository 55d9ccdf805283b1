"""How the voxels of a file lie in space, and the permutation and flips between a file's axes and ours.

File axes are (i, j[, k]), the fastest first, as NIfTI and ITK count them. Array axes are (z, y, x) or (y, x), in LPS:
x grows to the patient's left, y to posterior, z to superior. Oblique images keep their voxels: each axis goes to the
closest of the three. A file with exactly one axis of length 1 (a slice) is a 2D image.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from .errors import InputError

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Two geometries agree when they are at least this close (see `differences`).
SPACING_TOLERANCE = 1e-3  # relative
ORIGIN_TOLERANCE = 0.1  # voxels of the finest axis
DIRECTION_TOLERANCE = 1e-3  # per direction cosine


@dataclass(frozen=True)
class Geometry:
    """Everything needed to write an array back in its file's own frame. JSON-able, comparable with ==.

    file_shape: voxels per file axis, (i, j) or (i, j, k).
    file_spacing_mm, file_origin_mm, file_direction: always of three file axes and in LPS. The origin is the position
        of voxel (0, 0, 0); the columns of file_direction are the unit vectors of i, j and k.
    axes: the file axis that each array axis comes from. flips: whether the array axis runs against its file axis.
    nifti: geometry fields of a NIfTI header, written back exactly as they were read.
    oriented: whether the file says which way its axes run. Where it does not, file_direction is only a convention.
    """

    file_shape: tuple[int, ...]
    file_spacing_mm: tuple[float, ...]
    file_origin_mm: tuple[float, ...]
    file_direction: tuple[tuple[float, ...], ...]
    axes: tuple[int, ...]
    flips: tuple[bool, ...]
    nifti: dict[str, tuple[float, ...]] = field(default_factory=dict)
    oriented: bool = True

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels per array axis."""
        return tuple(self.file_shape[axis] for axis in self.axes)

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Spacing per array axis."""
        return tuple(self.file_spacing_mm[axis] for axis in self.axes)

    @property
    def corners(self) -> np.ndarray:
        """(8, 3): LPS mm of the first and last voxel of every axis."""
        sides = [(0, self.file_shape[axis] - 1) if axis < len(self.file_shape) else (0, 0) for axis in range(3)]
        indices = np.array([(*index, 1) for index in product(*sides)])
        return (indices @ self.file_affine.T)[:, :3]

    @property
    def file_affine(self) -> np.ndarray:
        """(4, 4): file indices (i, j, k, 1) -> LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = np.array(self.file_direction) * self.file_spacing_mm
        affine[:3, 3] = self.file_origin_mm
        return affine

    @property
    def direction(self) -> np.ndarray:
        """(3, ndim): unit vector (x, y, z in LPS) of each array axis."""
        return np.array(self.file_direction)[:, self.axes] * np.where(self.flips, -1.0, 1.0)

    @property
    def origin(self) -> np.ndarray:
        """(3,): position (x, y, z in LPS mm) of the array's first voxel."""
        first = np.zeros(4)
        first[3] = 1
        for axis, flip in zip(self.axes, self.flips, strict=True):
            first[axis] = self.file_shape[axis] - 1 if flip else 0
        return (self.file_affine @ first)[:3]

    def from_file_axes(self, array: np.ndarray) -> np.ndarray:
        """(*file_shape, ...) -> (*shape, ...); a view where possible."""
        rest = range(len(self.file_shape), array.ndim)
        moved = array.transpose(*self._order, *rest)
        return moved.reshape(*self.shape, *array.shape[len(self.file_shape) :])[self._flipping]

    def to_file_axes(self, array: np.ndarray) -> np.ndarray:
        """(*shape, ...) -> (*file_shape, ...), the inverse of `from_file_axes`."""
        if array.shape[: self.ndim] != self.shape:
            raise ValueError(f"The array has shape {array.shape}, its geometry {self.shape}.")
        spatial = len(self.file_shape)
        channels = array.shape[self.ndim :]
        expanded = array[self._flipping].reshape(*(self.file_shape[axis] for axis in self._order), *channels)
        return expanded.transpose(*np.argsort(self._order), *range(spatial, spatial + len(channels)))

    @property
    def _order(self) -> tuple[int, ...]:
        """All file axes: those of the array, then the axis of length 1 that a slice has dropped."""
        return self.axes + tuple(axis for axis in range(len(self.file_shape)) if axis not in self.axes)

    @property
    def _flipping(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else None) for flip in self.flips)


Values = Sequence[float] | np.ndarray
NiftiFields = Mapping[str, tuple[float, ...]]


def make_geometry(
    file_shape: Sequence[int],
    spacing_mm: Values,
    origin_mm: Values,
    direction: Sequence[Sequence[float]] | np.ndarray,
    nifti: NiftiFields | None = None,
    oriented: bool = True,
) -> Geometry:
    """The geometry of a file, with its permutation and flips to LPS.

    file_shape: 2 or 3 sizes; the other arguments describe three axes (see Geometry). Raises SpacingError for a spacing
    that is not positive, and InputError for a header that maps voxels onto each other (linearly dependent axes).
    """
    file_shape = tuple(int(size) for size in file_shape)
    spacing, direction = np.array(spacing_mm, dtype=float), np.array(direction, dtype=float)
    check_spacing(spacing)
    matrix = direction * spacing
    if not np.isfinite(matrix).all() or not np.isfinite(origin_mm).all() or abs(np.linalg.det(direction)) < 1e-6:
        raise InputError(
            "",
            "an origin and three independent axis directions",
            f"origin {np.asarray(origin_mm).tolist()} and directions {direction.tolist()}",
            "Correct the header, for example with 3D Slicer or ITK-SNAP.",
        )
    affine = np.eye(4)
    affine[:3, :3] = matrix
    orientation = _orientation(affine)
    kept = [axis for axis in range(len(file_shape)) if file_shape[axis] != 1 or file_shape.count(1) != 1]
    kept = kept if len(file_shape) == 3 else [0, 1]
    axes = sorted(kept, key=lambda axis: -orientation[axis, 0])
    return Geometry(
        file_shape,
        tuple(spacing.tolist()),
        tuple(float(value) for value in origin_mm),
        tuple(tuple(row) for row in direction.tolist()),
        tuple(axes),
        tuple(bool(orientation[axis, 1] < 0) for axis in axes),
        dict(nifti or {}),
        oriented,
    )


class SpacingError(InputError):
    """A spacing that cannot be: zero, negative, infinite or not a number."""


def check_spacing(values: Values, what: str = "spacing", unit: str = "mm") -> None:
    """Raises SpacingError for a spacing per file axis that is not a positive number.

    what: the header's name of these values.
    """
    for axis, value in enumerate(values, start=1):
        if not (math.isfinite(value) and value > 0):
            raise SpacingError(
                "",
                "a positive spacing along each axis",
                f"{what} {value:g}{f' {unit}' if unit else ''} along axis {axis} of the file",
                "Correct the spacing in the header, for example with 3D Slicer or ITK-SNAP, or export the image again.",
            )


def _orientation(affine: np.ndarray) -> np.ndarray:
    """affine: (4, 4). Returns (3, 2): per file axis the closest world axis and its sense, 1 or -1."""
    matrix = affine[:3, :3]
    if np.count_nonzero(matrix) > 3:
        from nibabel.orientations import io_orientation  # slow to import, and pictures do without

        return io_orientation(affine)
    world = np.abs(matrix).argmax(axis=0)  # axes along those of the world, as in most files and in every picture
    return np.stack([world, np.sign(matrix[world, range(3)])], axis=1)


def geometry_from_affine(
    file_shape: Sequence[int], affine_lps: np.ndarray, nifti: NiftiFields | None = None, oriented: bool = True
) -> Geometry:
    """The geometry of a file with the given (4, 4) matrix from (i, j, k, 1) to LPS mm; shears and obliques included.

    Where the third axis is missing (a 2D file, or a slice whose header says nothing about its thickness), it becomes an
    upright axis of 1 mm. Raises InputError as `make_geometry` does.
    """
    matrix = np.array(affine_lps[:3, :3], dtype=float)
    flat = len(file_shape) == 2 or file_shape[2] == 1
    if flat and not matrix[:, 2].any():
        normal = np.cross(matrix[:, 0], matrix[:, 1])
        matrix[:, 2] = normal / (np.linalg.norm(normal) or 1.0)
    spacing = np.sqrt((matrix**2).sum(axis=0))
    direction = matrix / np.where(spacing > 0, spacing, 1.0)
    return make_geometry(file_shape, spacing, affine_lps[:3, 3], direction, nifti, oriented)


def plain_geometry(shape: tuple[int, ...], spacing_mm: tuple[float, ...] | None = None) -> Geometry:
    """The geometry of an array (z, y, x) or (y, x) that comes from no file: LPS, origin 0, and 1 mm by default."""
    spacing = tuple(spacing_mm or (1.0,) * len(shape))[::-1]
    return make_geometry(shape[::-1], spacing + (1.0,) * (3 - len(shape)), np.zeros(3), np.eye(3))


def offset_in(part: Geometry, whole: Geometry) -> tuple[int, ...] | None:
    """Where the first voxel of `part` lies in `whole`, per array axis; None unless each voxel is one of `whole`'s."""
    spacing = np.array(whole.spacing_mm)
    same = part.ndim == whole.ndim and np.allclose(part.spacing_mm, spacing, rtol=SPACING_TOLERANCE, atol=0)
    if not same or not np.allclose(part.direction, whole.direction, rtol=0, atol=DIRECTION_TOLERANCE):
        return None
    exact = np.linalg.pinv(whole.direction * spacing) @ (part.origin - whole.origin)
    first = np.rint(exact).astype(int)
    inside = (first >= 0).all() and (first + part.shape <= whole.shape).all()
    return tuple(first.tolist()) if inside and np.abs(exact - first).max() <= ORIGIN_TOLERANCE else None


class Difference(NamedTuple):
    """A quantity in which two geometries differ, with texts for the user."""

    quantity: Literal["shape", "spacing", "origin", "direction"]
    found: str
    expected: str
    tolerance: str


def differences(found: Geometry, expected: Geometry) -> list[Difference]:
    """Where `found` differs from `expected` by more than the tolerances. Where the shapes differ, nothing else is said.

    Both are compared in LPS, so that two files that store the same voxels in another order agree. Tolerances: spacing
    0.1 %, origin a tenth of the finest voxel, direction cosines 0.001.
    """
    if found.shape != expected.shape:
        return [Difference("shape", text_of(found.shape), text_of(expected.shape), "none")]
    spacing = np.array(expected.spacing_mm)
    result = []
    if not np.allclose(found.spacing_mm, spacing, rtol=SPACING_TOLERANCE, atol=0):
        result.append(Difference("spacing", text_of(found.spacing_mm), text_of(spacing), "0.1 %"))
    if np.linalg.norm(found.origin - expected.origin) > ORIGIN_TOLERANCE * spacing.min():
        result.append(Difference("origin", text_of(found.origin), text_of(expected.origin), "0.1 voxel"))
    if not np.allclose(found.direction, expected.direction, rtol=0, atol=DIRECTION_TOLERANCE):
        texts = text_of(found.direction.T.ravel()), text_of(expected.direction.T.ravel())
        result.append(Difference("direction", *texts, "0.001 per cosine"))
    return result


def text_of(values: Iterable[float]) -> str:
    """Values per axis, for the user."""
    return "(" + ", ".join(f"{float(value):.6g}" for value in values) + ")"
