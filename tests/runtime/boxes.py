"""An image with two labelled boxes."""

import numpy as np

from mednca_pipeline.runtime.labels import Labels

LABELS = Labels(("left", "right"), ((1,), (2,)))


def image_and_labels(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """An image (1, *shape) in a border of zeros, one voxel wide, and two boxes as its labels (*shape)."""
    image = np.zeros((1, *shape), np.float32)
    inside = (0, *(slice(1, -1) for _ in shape))
    image[inside] = np.random.default_rng(0).uniform(1, 2, image[inside].shape)
    labels = np.zeros(shape, np.uint8)
    middle = shape[-1] // 2
    box = tuple(slice(size // 4, size - size // 4) for size in shape[:-1])
    labels[(*box, slice(shape[-1] // 4, middle))] = 1
    labels[(*box, slice(middle, shape[-1] - shape[-1] // 4))] = 2
    return image, labels
