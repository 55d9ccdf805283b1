"""What coarser spacings do to the labels of a case: the Dice that a network at that spacing cannot exceed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..runtime.cropping import Box, inside, nonzero_box
from ..runtime.labels import Labels
from ..runtime.preprocessing import PreprocessingPlan
from ..runtime.resampling import LINEAR, interpolation_matrix, label_orders, most_covering, multiply_along
from .fingerprint import LabelCeilings

AXIS_SETS = {2: ("yx",), 3: ("yx", "zx", "zy", "zyx")}  # axes that a configuration of 2D or 3D images may resample
STEPS_PER_DOUBLING = 4
MOST_DOUBLINGS = 4  # up to 16 times as coarse
LOWEST_DICE = 0.9  # measuring ends below this Dice of each class: coarser spacings count as too coarse
MOST_VOXELS = 2_000_000  # all classes together compare about so many voxels at one spacing
FEWEST_VOXELS = 100_000  # one class compares at least so many
SLABS, THINNEST_SLAB = 8, 16  # large structures resampled along all axes: number of slabs, least voxels across a slab


class _Axis(NamedTuple):
    """Interpolation of one axis: to_grid (cells, voxels) and back (voxels, cells)."""

    to_grid: np.ndarray
    back: np.ndarray


def coarser_spacings(finest: float) -> tuple[float, ...]:
    """Spacings of the ladder 2^(k/4), for whole k, that are coarser than `finest` and at most 16 times as coarse.

    The ladder is the same for every dataset, so that cases of different spacings are measured at the same ones.
    """
    first = math.floor(STEPS_PER_DOUBLING * math.log2(finest))
    steps = range(first, first + STEPS_PER_DOUBLING * MOST_DOUBLINGS + 1)
    ladder = (float(f"{2 ** (step / STEPS_PER_DOUBLING):.4g}") for step in steps)
    return tuple(spacing for spacing in ladder if spacing > finest)


def label_ceilings(labels: np.ndarray, spacing_mm: Sequence[float], definition: Labels) -> dict[str, LabelCeilings]:
    """Per set of axes ("yx"; for volumes also "zx", "zy", "zyx"): the Dice of each class after the way there and back.

    labels: (z, y, x) or (y, x), cropped as images are. The way to the grid is that of `preprocess_labels`, and the way
    back that of `Frame.restore_labels`. Each axis has the larger of its own spacing and the grid's.

    Each class is compared in its own bounding box with a margin. This changes nothing, as the interpolation matrices
    are those of the whole image, cut to the box. All classes together compare about two million voxels at each spacing.
    Larger structures are compared in evenly spaced slices, or in slabs where all axes are resampled.
    """
    volume = labels.reshape((1,) * (3 - labels.ndim) + labels.shape)
    spacing = (spacing_mm[0],) * (3 - labels.ndim) + tuple(spacing_mm)  # as in PreprocessingPlan
    if not definition.foreground(volume).any():
        return {}
    measured = {}
    for axes in AXIS_SETS[labels.ndim]:
        order = sorted(range(3), key=lambda axis: "zyx"[axis] in axes)  # the slicing axis first
        turned = np.ascontiguousarray(volume.transpose(order))
        measured[axes] = _ceilings(turned, [spacing[axis] for axis in order], 3 - len(axes), definition)
    return measured


def _ceilings(volume: np.ndarray, spacing: Sequence[float], first: int, definition: Labels) -> LabelCeilings:
    """From fine to coarse, until each class has fallen below LOWEST_DICE. Axes from `first` on are resampled."""
    parts = _parts(volume, first, definition)
    spacings: list[float] = []
    dice: dict[str, list[float]] = {name: [] for name in parts}
    for candidate in coarser_spacings(min(spacing[first:])):
        target = (*spacing[:first], *(max(own, candidate) for own in spacing[first:]))
        axes = _axes(volume.shape, spacing, target)
        for name, boxes in parts.items():
            dice[name].append(round(_dice(volume, name, boxes, axes, definition), 4))
        spacings.append(candidate)
        if all(min(values) < LOWEST_DICE for values in dice.values()):
            break
    return LabelCeilings(tuple(spacings), {name: tuple(values) for name, values in dice.items()})


def _axes(shape: Sequence[int], found: Sequence[float], target: Sequence[float]) -> list[_Axis | None]:
    """Interpolation per axis of the whole image; None where an axis keeps its size."""
    axes: list[_Axis | None] = []
    orders = label_orders(found, target, PreprocessingPlan.anisotropy_threshold)
    for size, own, wished, order in zip(shape, found, target, orders, strict=True):
        cells = max(1, round(size * own / wished))
        if cells == size:
            axes.append(None)
        else:
            back = interpolation_matrix(cells, size, LINEAR)
            axes.append(_Axis(interpolation_matrix(size, cells, order), back))
    return axes


def _parts(volume: np.ndarray, first: int, definition: Labels) -> dict[str, list[Box]]:
    """The boxes in which each class of the labels is compared."""
    masks = {name: mask for name, mask in definition.masks(volume) if mask.any()}
    most_voxels = max(MOST_VOXELS // len(masks), FEWEST_VOXELS)
    return {name: _boxes(mask, first, most_voxels) for name, mask in masks.items()}


def _boxes(mask: np.ndarray, first: int, most_voxels: int) -> list[Box]:
    """The mask's bounding box, or evenly spaced slices or slabs of the box with about `most_voxels` in all."""
    box = nonzero_box(mask[None])
    sides = [stop - start for start, stop in box]
    if math.prod(sides) <= most_voxels:
        return [box]
    across = 0 if sides[0] > 1 else first
    area = math.prod(sides) // sides[across]
    thickness = max(THINNEST_SLAB, most_voxels // (SLABS * area)) if across >= first else 1
    start, end = box[across]
    slabs = [(low, min(low + thickness, end)) for low in range(start, end, thickness)]
    boxes = [(*box[:across], slab, *box[across + 1 :]) for slab in slabs]
    shown = [one for one in boxes if mask[inside(one)].any()]
    count = max(1, most_voxels // (area * thickness))
    if count >= len(shown):
        return shown
    even = np.linspace(0, len(shown) - 1, count + 2)[1:-1]
    return [shown[index] for index in np.unique(even.round().astype(int))]


def _dice(
    volume: np.ndarray, name: str, boxes: Sequence[Box], axes: Sequence[_Axis | None], definition: Labels
) -> float:
    """The Dice of one class over all boxes. Ignored voxels do not count."""
    values = definition.values[definition.names.index(name)]
    both = total = 0
    for box in boxes:
        window = _widened(box, axes, volume.shape, () if len(boxes) == 1 else _cut(boxes))
        truth = volume[inside(window)]
        counted = truth != definition.ignore  # all voxels where there is no such label
        found = np.isin(_restored(volume, window, axes, definition), values) & counted
        wanted = np.isin(truth, values)
        both += int(np.count_nonzero(found & wanted))
        total += int(np.count_nonzero(found)) + int(np.count_nonzero(wanted))
    return 2 * both / total


def _cut(boxes: Sequence[Box]) -> tuple[int, ...]:
    """The axis along which a structure was cut into several boxes."""
    return tuple(axis for axis, sides in enumerate(zip(*boxes, strict=True)) if len(set(sides)) > 1)


def _widened(box: Box, axes: Sequence[_Axis | None], shape: Sequence[int], cut: Sequence[int]) -> Box:
    """The box, and all voxels around it that a cell touching the box can reach on the way back."""
    widened = []
    for index, ((start, stop), axis, size) in enumerate(zip(box, axes, shape, strict=True)):
        margin = 0 if axis is None or index in cut else math.ceil(size / len(axis.to_grid)) + 1
        widened.append((max(0, start - margin), min(size, stop + margin)))
    return tuple(widened)


def _restored(volume: np.ndarray, window: Box, axes: Sequence[_Axis | None], definition: Labels) -> np.ndarray:
    """The label values in `window` after the way to the grid and back, exactly as for the whole volume."""
    forward: dict[int, np.ndarray] = {}
    backward: dict[int, np.ndarray] = {}
    read, cells = [], []
    for index, ((start, stop), axis) in enumerate(zip(window, axes, strict=True)):
        if axis is None:
            read.append(np.arange(start, stop))
            cells.append(stop - start)
            continue
        reaching = _used(axis.back[start:stop])
        rows = slice(reaching[0], reaching[-1] + 1)
        read.append(_used(axis.to_grid[rows]))  # only some of many voxels per cell have a weight
        cells.append(len(axis.to_grid[rows]))
        forward[index] = axis.to_grid[rows][:, read[-1]]
        backward[index] = axis.back[start:stop, rows]
    taught = most_covering(volume[np.ix_(*read)], cells, lambda mask: _multiplied(mask, forward))
    shown = _only_shown(definition, taught)
    maps = (_multiplied(probability, backward) for probability in shown.encode(taught))
    if definition.ignore is not None and (taught == definition.ignore).any():
        known = np.maximum(
            _multiplied(taught != definition.ignore, backward), 1e-6
        )  # a network may say anything in ignored voxels
        maps = (probability / known for probability in maps)
    return shown.decode(maps)


def _only_shown(definition: Labels, labels: np.ndarray) -> Labels:
    """The classes or regions that `labels` show. Maps of the others are zero and would change nothing."""
    present = set(np.unique(labels).tolist())
    kept = [index for index, values in enumerate(definition.values) if present & set(values)]
    return replace(
        definition,
        names=tuple(definition.names[index] for index in kept),
        values=tuple(definition.values[index] for index in kept),
        region_order=tuple(definition.region_order[index] for index in kept) if definition.has_regions else (),
    )


def _multiplied(array: np.ndarray, matrices: dict[int, np.ndarray]) -> np.ndarray:
    """float32: one matrix product per axis, shrinking axes first."""
    result = np.asarray(array, np.float32)
    for axis, matrix in sorted(matrices.items(), key=lambda item: item[1].shape[0] / item[1].shape[1]):
        result = multiply_along(result, axis, matrix)
    return result


def _used(rows: np.ndarray) -> np.ndarray:
    """The columns with a weight in any of these rows."""
    return np.flatnonzero(rows.any(axis=0))
