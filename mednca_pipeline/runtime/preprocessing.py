"""From an image as read to what a network sees: the plan, the steps that it makes for one image, and their inverses.

Arrays as read are (C, z, y, x) or (C, y, x) in LPS, `spacing_mm` in that axis order. Preprocessed arrays are always
(C, S, H, W), labels (S, H, W): S counts the slices of a 2D configuration, or is one more axis in 3D.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .cropping import Crop
from .errors import InputError
from .labels import Labels
from .normalisation import Normalise
from .permuting import Permute
from .preprocessing_steps import Frame
from .records import Positive
from .resampling import Resample


@dataclass(frozen=True)
class PreprocessingPlan:
    """How a configuration preprocesses its images.

    axis_order: permutation that brings an LPS (z, y, x) array to (S, H, W); () for 2D images.
    spacing_mm: target per (S, H, W) axis; None leaves the axis as it is.
    normalisation: per channel "zscore", "ct", "rgb" or "none".
    ct_statistics: per channel (mean, sd, 0.5 percentile, 99.5 percentile) of the dataset's foreground, for "ct".
    anisotropy_threshold: an axis this many times coarser than the next coarsest is interpolated with a lower order.
    clip_percentiles: "zscore" first clips to the case's own 0.5 and 99.5 percentiles.
    """

    axis_order: tuple[int, ...]
    spacing_mm: tuple[Positive | None, ...]
    normalisation: tuple[Literal["zscore", "ct", "rgb", "none"], ...]
    ct_statistics: tuple[tuple[float, float, float, float], ...] = ()
    anisotropy_threshold: float = 3.0
    clip_percentiles: bool = True

    def __post_init__(self) -> None:
        if self.axis_order and sorted(self.axis_order) != [0, 1, 2]:
            raise InputError("axis_order", "the axes 0, 1 and 2 in some order, or none", str(self.axis_order))
        if len(self.spacing_mm) != 3:
            raise InputError("spacing_mm", "3 entries", str(len(self.spacing_mm)))
        if "ct" in self.normalisation and len(self.ct_statistics) != len(self.normalisation):
            raise InputError("ct_statistics", f"{len(self.normalisation)} entries", str(len(self.ct_statistics)))


def frame_of(image: np.ndarray, spacing_mm: Sequence[float], plan: PreprocessingPlan) -> Frame:
    """The plan's steps for one image (C, z, y, x) or (C, y, x): crop to non-zero, permute, normalise, resample."""
    crop, permute = Crop.to_nonzero(image), Permute(plan.axis_order)
    resample = Resample.to_spacing(
        permute.shape(crop.cropped_shape),
        permute.spacing([float(value) for value in spacing_mm]),
        plan.spacing_mm,
        plan.anisotropy_threshold,
    )
    return Frame(crop, permute, Normalise(plan.normalisation, plan.ct_statistics, plan.clip_percentiles), resample)


def preprocess_image(
    array: np.ndarray, spacing_mm: Sequence[float], plan: PreprocessingPlan
) -> tuple[np.ndarray, Frame]:
    """(C, z, y, x) or (C, y, x) -> float32 (C, S, H, W) and its Frame."""
    frame = frame_of(array, spacing_mm, plan)
    return frame.forward(array), frame


def preprocess_labels(labels: np.ndarray, frame: Frame, labels_def: Labels) -> np.ndarray:
    """Label values (z, y, x) or (y, x) -> (S, H, W), uint8 or int16: the largest of the linearly resampled classes.

    `ignore` is a class like the others here, so it is kept.
    """
    return frame.forward_labels(labels.astype(np.uint8 if max(labels_def.valid_values) <= 255 else np.int16))
