"""The way of labels to a plan's grid and back, by the functions of preprocessing and prediction."""

import numpy as np

from mednca_pipeline.runtime.preprocessing import PreprocessingPlan, preprocess_image, preprocess_labels


def dice_of_grid(labels, spacing_mm, definition, plan: PreprocessingPlan) -> dict[str, float]:
    """Per class that `labels` show; the image is nowhere zero, so nothing is cropped."""
    _, frame = preprocess_image(np.ones((1, *labels.shape), np.float32), spacing_mm, plan)
    taught = preprocess_labels(labels, frame, definition)
    restored = frame.restore_labels(definition.encode(taught), definition)
    counted = labels != definition.ignore
    dice = {}
    for (name, truth), (_, found) in zip(definition.masks(labels), definition.masks(restored), strict=True):
        if truth.any():
            found = found & counted
            dice[name] = 2 * np.count_nonzero(truth & found) / (np.count_nonzero(truth) + np.count_nonzero(found))
    return dice


def grid_plan(order, spacing_mm) -> PreprocessingPlan:
    return PreprocessingPlan(tuple(order), tuple(spacing_mm), ("none",))
