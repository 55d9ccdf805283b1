"""What prediction gives: the segmentation of an image, and the probability maps that it was read from."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from ..evaluation.component_removal import Removed, apply_postprocessing
from ..plans.plans import Plans
from ..runtime.labels import Labels
from ..runtime.preprocessing_steps import Frame
from ..runtime.quality import FOREGROUND, Flag, Standing

BACKGROUND = "background"


def output_names(plans: Plans) -> tuple[str, ...]:
    """The network's outputs in order: the background and the classes, or the regions alone."""
    return plans.labels.names if plans.labels.has_regions else (BACKGROUND, *plans.labels.names)


class Maps(Protocol):
    """Probabilities of one image."""

    @property
    def quality(self) -> dict[str, float]:
        """Class or "foreground" -> quality score; empty where none was asked for."""

    def probability_maps(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and float32 probabilities (z, y, x) or (y, x) of each output, one at a time; the background first."""

    def decode(self, labels: Labels) -> np.ndarray:
        """Label values (z, y, x) or (y, x)."""

    def variance(self) -> np.ndarray:
        """float32 (z, y, x) or (y, x). Raises ValueError unless prediction was asked for it."""


@dataclass(frozen=True)
class ModelMaps:
    """The maps of one model, kept in preprocessed space.

    names: of the outputs. mean: (K, S, H, W) probabilities. grid_variance: (S, H, W) over folds and runs, summed over
    the outputs; None if not asked for.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    grid_variance: np.ndarray | None
    quality: dict[str, float]
    frame: Frame

    def probability_maps(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, volume in zip(self.names, self.mean, strict=True):
            yield name, self.frame.restore(volume, outside=1.0 if name == BACKGROUND else 0.0)

    def decode(self, labels: Labels) -> np.ndarray:
        return self.frame.restore_labels(self.mean, labels)

    def variance(self) -> np.ndarray:
        if self.grid_variance is None:
            raise ValueError("The variance was not asked for: predict(..., with_variance=True).")
        return self.frame.restore(self.grid_variance)


@dataclass(frozen=True)
class Prediction:
    """The segmentation of one image.

    labels: integer, (z, y, x) or (y, x) as the image. flag, reason: see runtime.quality.
    quality: "foreground" or class -> quality score, 0 where a random run agrees with the expected update; empty where
        none was asked for and for a UNet.
    removed: the components that were taken out of `labels`, per class that lost any.
    """

    labels: np.ndarray
    flag: Flag
    maps: Maps = field(repr=False)
    removed: tuple[Removed, ...] = ()
    reason: str = ""

    @property
    def quality(self) -> dict[str, float]:
        return self.maps.quality

    def probability_maps(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and float32 probabilities (z, y, x) or (y, x) of each output, one at a time; the background first."""
        return self.maps.probability_maps()

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(K, z, y, x) or (K, y, x) float32: all of probability_maps at once."""
        return np.stack([volume for _, volume in self.probability_maps()])

    @cached_property
    def variance(self) -> np.ndarray:
        """(z, y, x) or (y, x) float32: variance over runs, folds and models, summed over the outputs.

        Raises ValueError unless `predict` was asked for it.
        """
        return self.maps.variance()


def segment(maps: Maps, labels: Labels, components: Mapping[str, int], standing: Standing) -> Prediction:
    """Reads the segmentation from the maps, keeps `components` of its classes, and flags it."""
    segmentation, removed = apply_postprocessing(maps.decode(labels), components, labels)
    score, empty = maps.quality.get(FOREGROUND, math.nan), not labels.foreground(segmentation).any()
    verdict = standing.judge(score, empty=empty, scored=bool(maps.quality))
    return Prediction(segmentation, verdict.flag, maps, removed, verdict.reason)


class ImagePredictor(Protocol):
    """What predicts images: one model (Predictor), or several that are averaged (Combination).

    plans: say what the images and labels are. components: class -> how many are kept. device: what it computes on.
    runs_per_fold: 0 for the expected update. standing: how good it was in validation.
    """

    plans: Plans
    components: dict[str, int]

    @property
    def standing(self) -> Standing: ...

    @property
    def device(self) -> str: ...

    @property
    def runs_per_fold(self) -> int: ...

    def predict(self, array: np.ndarray, spacing_mm: Sequence[float], with_variance: bool = False) -> Prediction:
        """array: (C, z, y, x) or (C, y, x), raw intensities. Raises InputError for an image that does not fit."""

    def check_header(self, channels: int, shape: Sequence[int], spacing_mm: Sequence[float], unit: str = "") -> None:
        """Raises InputError for an image that does not fit, before its voxels are needed (see Predictor)."""

    def describe(self) -> str:
        """One line that says what the outputs were made with."""
