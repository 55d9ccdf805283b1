"""The way of one image to the network's grid, as a list of steps, and the way back to the image's own geometry."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .cropping import Crop
from .labels import Labels
from .normalisation import Normalise
from .permuting import Permute
from .resampling import Resample


class Step(Protocol):
    """One step of preprocessing, made for one image. The steps act on the last (spatial) axes of an array.

    TorchIO (Pérez-García et al. 2021) keeps the inverse of a transform beside it in the same way.
    """

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(C, *spatial) -> (C, *spatial after the step)."""

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """Label values (*spatial) -> (*spatial after the step), of the same type."""

    def inverse(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(..., *spatial after the step), probabilities or labels -> (..., *spatial); `outside` where nothing is known.

        A step that mixes voxels (`Resample`) takes probabilities only.
        """


@dataclass(frozen=True)
class Frame:
    """The steps that brought one image to the network's grid, in the order of their application. JSON-able.

    Images as read are (C, z, y, x) or (C, y, x) in LPS; on the grid they are (C, S, H, W).
    """

    crop: Crop
    permute: Permute
    normalise: Normalise
    resample: Resample

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.crop, self.permute, self.normalise, self.resample

    def forward(self, image: np.ndarray) -> np.ndarray:
        """(C, z, y, x) or (C, y, x) -> float32 (C, S, H, W), contiguous."""
        for step in self.steps:
            image = step.forward(image)
        return np.ascontiguousarray(image)

    def forward_labels(self, labels: np.ndarray) -> np.ndarray:
        """Label values (z, y, x) or (y, x) -> (S, H, W) of the same type, contiguous."""
        for step in self.steps:
            labels = step.forward_labels(labels)
        return np.ascontiguousarray(labels)

    def restore(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(..., S, H, W), such as probabilities -> float32 (..., z, y, x) or (..., y, x), as large as the image read.

        outside: the value where the image was cropped.
        """
        for step in reversed(self.steps):
            volume = step.inverse(volume, outside)
        return volume

    def restore_labels(self, probabilities: Iterable[np.ndarray], labels_def: Labels) -> np.ndarray:
        """K maps (S, H, W) of probabilities -> label values (z, y, x) or (y, x), as large as the image read.

        The maps go back through the one step that mixes voxels and are decoded there, one after the other: two are held
        at a time, and none at the size of the image before it was cropped. What was cropped away is background.
        """
        *exact, resample = self.steps
        volume = labels_def.decode(map(resample.inverse, probabilities))
        for step in reversed(exact):
            volume = step.inverse(volume)
        return volume
