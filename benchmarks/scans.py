"""Images in memory, as several benchmarks predict and measure them."""

from dataclasses import dataclass

import numpy as np

from mednca_pipeline.datasets.dataset import Case
from mednca_pipeline.runtime.images import read_image, read_labels


@dataclass(frozen=True)
class Scan:
    """array: (C, z, y, x) or (C, y, x)."""

    array: np.ndarray
    spacing_mm: tuple[float, ...]


@dataclass(frozen=True)
class LabelledScan(Scan):
    """labels: the reference, (z, y, x) or (y, x)."""

    labels: np.ndarray


def read_scan(case: Case) -> LabelledScan:
    image = read_image(case.images)
    return LabelledScan(image.array, image.spacing_mm, read_labels(case.label).array[0])
