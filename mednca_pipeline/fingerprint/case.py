"""The fingerprint of one case, from its arrays."""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..runtime.components import outside_largest
from ..runtime.cropping import Box, inside, nonzero_box
from ..runtime.labels import Labels
from .ceilings import label_ceilings
from .drawn import label_jumps
from .fingerprint import CaseFingerprint, ClassStatistics
from .intensities import intensity_statistics, significant

SAMPLED_VOXELS = 10_000


@dataclass(frozen=True)
class CaseArrays:
    """A case in LPS. image: (C, *spatial). labels: (*spatial)."""

    image: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, ...]


def case_fingerprint(
    name: str, case: CaseArrays, definition: Labels, foreground: np.ndarray, image_sha256: str
) -> CaseFingerprint:
    """foreground: (C, n), what `sampled_foreground` gives. image_sha256: the hash of the voxels."""
    image, labels, spacing_mm = case.image, case.labels, case.spacing_mm
    box = nonzero_box(image)
    cropped = image[inside(box)]
    jumps: tuple[int, ...] = ()
    changes: tuple[int, ...] = ()
    if labels.ndim == 3:
        jumps, changes = label_jumps(labels, definition.ignore)
    return CaseFingerprint(
        name=name,
        shape=tuple(labels.shape),
        cropped_shape=tuple(cropped.shape[1:]),
        spacing_mm=tuple(significant(value) for value in spacing_mm),
        image=tuple(intensity_statistics(channel) for channel in cropped),
        foreground=tuple(intensity_statistics(channel) for channel in foreground) if foreground.size else (),
        classes={output: class_statistics(mask, box) for output, mask in definition.masks(labels)},
        label_ceilings=label_ceilings(labels[inside(box)], spacing_mm, definition),
        label_jumps=jumps,
        label_changes=changes,
        image_sha256=image_sha256,
    )


def sampled_foreground(case: CaseArrays, definition: Labels, name: str) -> np.ndarray:
    """(C, n): up to 10,000 labelled voxels. A case of the same name always gives the same ones."""
    image, found = case.image, np.flatnonzero(definition.foreground(case.labels))
    if found.size > SAMPLED_VOXELS:
        rng = np.random.default_rng(zlib.crc32(os.fsencode(name)))
        found = np.sort(rng.choice(found, SAMPLED_VOXELS, replace=False))
    return image.reshape(image.shape[0], -1)[:, found]


def class_statistics(mask: np.ndarray, image_box: Box) -> ClassStatistics:
    """Volume, components, extent of the largest component and centre of a bool mask (*spatial).

    image_box: the part of the image that preprocessing keeps.
    """
    box = nonzero_box(mask[None])
    part = np.ascontiguousarray(mask[inside(box)])
    voxels = int(np.count_nonzero(part))
    if voxels == 0:
        return ClassStatistics(0, (), 0)
    outside, others = outside_largest(part)
    extent = nonzero_box((part & ~outside)[None])
    centre = tuple(map(significant, _centre(part, box, image_box)))
    return ClassStatistics(voxels, tuple(stop - start for start, stop in extent), 1 + others, centre)


def _centre(part: np.ndarray, box: Box, image_box: Box) -> Iterator[float]:
    """Per axis, the mean place of the mask's voxels in `image_box`, from -1 to 1. part: the mask within its `box`."""
    for axis, ((start, _), (first, end)) in enumerate(zip(box, image_box, strict=True)):
        counts = part.sum(axis=tuple(other for other in range(part.ndim) if other != axis))
        index = start - first + counts @ np.arange(counts.size) / counts.sum()
        yield float((2 * index + 1) / (end - first) - 1)
