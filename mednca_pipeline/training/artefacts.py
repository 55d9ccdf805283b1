"""Artefacts in training samples."""

from dataclasses import dataclass

import numpy as np

from ..evaluation.artefacts import ARTEFACTS, SEVERITIES, distorted
from ..runtime.errors import InputError


@dataclass(frozen=True)
class ArtefactRecipe:
    """How often a sample has an artefact, and which.

    rate: the share of samples. kinds: keys of evaluation.artefacts.ARTEFACTS, each as likely.
    spacing_mm: of the sample's axes (S, H, W); infinite across the slices of a 2D sample.
    standardised: images are z-scored, so that prediction sees artefacts with mean and SD brought back.
    """

    rate: float
    kinds: tuple[str, ...]
    spacing_mm: tuple[float, ...]
    standardised: bool

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(ARTEFACTS))
        if unknown or (self.rate and not self.kinds):
            raise InputError("artefact_kinds", f"some of {', '.join(ARTEFACTS)}", ", ".join(unknown) or "none")


def with_artefacts(image: np.ndarray, recipe: ArtefactRecipe, slices: int, rng: np.random.Generator) -> np.ndarray:
    """image: float32 (slices * C, H, W) of a 2D sample, (C, S, H, W) of a 3D one; changed or as it is.

    The adjacent slices of an image channel are changed as the volume that they are cut from.
    """
    if rng.random() >= recipe.rate:
        return image
    name = recipe.kinds[rng.integers(len(recipe.kinds))]
    severity = rng.uniform(SEVERITIES[0], SEVERITIES[-1])
    flat = image.ndim == 3
    volume = image.reshape(slices, -1, *image.shape[1:]).swapaxes(0, 1) if flat else image  # (C, S, H, W)
    changed, _ = distorted(name, severity, volume, recipe.spacing_mm, rng)
    if recipe.standardised:
        changed = _standardised_as(volume, changed)
    changed = changed.swapaxes(0, 1).reshape(image.shape) if flat else changed
    return np.ascontiguousarray(changed, dtype=np.float32)


def _standardised_as(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """`after` with the mean and SD that each channel of `before` (C, S, H, W) had."""
    space = (1, 2, 3)
    scale = before.std(space, keepdims=True) / np.maximum(after.std(space, keepdims=True), 1e-6)
    return (after - after.mean(space, keepdims=True)) * scale + before.mean(space, keepdims=True)
