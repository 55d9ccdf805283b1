"""Which part of a case a training sample shows: slice, window of the image, window of the finest level."""

import numpy as np

from ..preprocessing.store import CaseProperties
from ..runtime.labels import Labels

Box = list[list[int]]  # [start, stop) per axis; may reach outside the image


def shows_foreground(number: int, share: float) -> bool:
    """Whether sample `number` of the whole training is forced to show foreground: exactly `share` of them, spread."""
    return int((number + 1) * share) > int(number * share)


def choose_output(properties: CaseProperties, rng: np.random.Generator) -> str | None:
    """One of the outputs present in the case, each with equal probability; None when there is only background."""
    present = sorted(name for name, slices in properties.slices.items() if slices)
    return present[rng.integers(len(present))] if present else None


def choose_voxel(properties: CaseProperties, output: str, rng: np.random.Generator) -> tuple[int, ...]:
    """One of the case's sampled voxels of this output, as (s, h, w)."""
    flat = properties.voxels[output][rng.integers(len(properties.voxels[output]))]
    return tuple(int(index) for index in np.unravel_index(flat, properties.shape))


def choose_slice(properties: CaseProperties, output: str | None, rng: np.random.Generator) -> int:
    """A slice that shows `output`, any slice for None, each with equal probability."""
    slices = range(properties.shape[0]) if output is None else properties.slices[output]
    return int(slices[rng.integers(len(slices))])


def mask_of(labels: np.ndarray, output: str | None, definition: Labels) -> np.ndarray:
    """Where `labels` belong to `output`; to any output for None."""
    if output is None:
        return definition.foreground(labels)
    return next(mask for name, mask in definition.masks(labels) if name == output)


def outline_of(mask: np.ndarray) -> np.ndarray:
    """The True elements with a False neighbour along an axis; all of them where there is none, as in a full image."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        before, after = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        inner[tuple(before)] &= mask[tuple(after)]
        inner[tuple(after)] &= mask[tuple(before)]
    outline = mask & ~inner
    return outline if outline.any() else mask


def random_voxel(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, ...] | None:
    """Index of one True element, each with equal probability; None when there is none."""
    found = np.flatnonzero(mask)
    if not found.size:
        return None
    return tuple(int(index) for index in np.unravel_index(found[rng.integers(found.size)], mask.shape))


def image_window(
    shape: tuple[int, ...], size: tuple[int, ...], voxel: tuple[int, ...] | None, rng: np.random.Generator
) -> Box:
    """A window of exactly `size`: centred where the image is smaller, else at random within it, `voxel` inside."""
    box = []
    for axis, (extent, wanted) in enumerate(zip(shape, size, strict=True)):
        if extent <= wanted:
            start = -((wanted - extent) // 2)
        else:
            first, last = 0, extent - wanted
            if voxel is not None:
                first, last = max(first, voxel[axis] - wanted + 1), min(last, voxel[axis])
            start = int(rng.integers(first, last + 1))
        box.append([start, start + wanted])
    return box


def patch_origin(
    image_size: tuple[int, ...],
    patch: tuple[int, ...],
    factor: tuple[int, ...],
    voxel: tuple[int, ...] | None,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    """Origin of the finest level's window: a multiple of `factor`, within the image; around `voxel` where given."""
    origin = []
    for axis, (size, window, step) in enumerate(zip(image_size, patch, factor, strict=True)):
        last = (size - window) // step  # in units of `step`
        if voxel is None:
            chosen = int(rng.integers(last + 1))
        else:
            chosen = min(max(round((voxel[axis] - window / 2) / step), 0), last)
        origin.append(chosen * step)
    return tuple(origin)
