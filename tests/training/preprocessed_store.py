"""A small preprocessed store for tests, written without the preprocessing itself."""

import numpy as np

from mednca_pipeline.preprocessing.store import CaseProperties, CaseStore, foreground_index
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan, frame_of

TWO_CLASSES = Labels(names=("front", "back"), values=((1,), (2,)))
PLAN = PreprocessingPlan((0, 1, 2), (None, None, None), ("none",))


def write_store(folder, cases, dim, labels=TWO_CLASSES):
    """cases: name -> (image (C, S, H, W), labels (S, H, W))."""
    store = CaseStore(folder)
    for name, (image, target) in cases.items():
        frame = frame_of(image, (1.0, 1.0, 1.0), PLAN)
        slices, voxels = foreground_index(target, labels, name)
        properties = CaseProperties("digest", (), frame, target.shape, slices, voxels)
        store.write(name, image.astype(np.float32), target.astype(np.uint8), properties, dim)
    return store
