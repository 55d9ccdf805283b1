"""The description beside an ONNX graph, to be damaged by benchmarks.fuzz, and read and used as another program does."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz import JSON, MOST_BYTES, Kind
from mednca_pipeline.deploy.onnx_description import describe_graph, read_description
from mednca_pipeline.evaluation.component_removal import apply_postprocessing
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.memory import check_memory
from mednca_pipeline.runtime.network_input import parts
from mednca_pipeline.runtime.padding import Pad
from mednca_pipeline.runtime.preprocessing import frame_of

FILE, SIZE = "phantom.json", (8, 20, 18)


def description_kind(folder: Path, plans: Plans) -> Kind:
    write_json(folder / FILE, describe_graph(plans, "2d", "mednca"))
    return Kind("description of an ONNX graph", folder, FILE, _read_description, JSON)


def _read_description(folder: Path) -> Any:
    """As another program uses it: an image becomes the graph's input, and probabilities become labels."""
    described = read_description(folder / FILE)
    channels, outputs = len(described.channels), described.labels.n_outputs
    image = np.random.default_rng(0).normal(size=(channels, *SIZE)).astype(np.float32)
    if not described.preprocessing.axis_order:
        image = image[:, 0]
    frame = frame_of(image, (1.0,) * (image.ndim - 1), described.preprocessing)
    check_memory(channels, image.shape[1:], frame.resample.resampled_shape, outputs, MOST_BYTES // 8)
    array, form = frame.forward(image), described.input
    padded = Pad.to(array.shape[-form.dim :], form.image_size, form.factor).padded_shape
    wide = channels * (2 * form.adjacent_slices + 1) + len(form.position)
    check_memory(wide, array.shape[1:], (array.shape[1], *padded), outputs, MOST_BYTES // 8)
    seen = [part.array.sum() for part in parts(array, form)]
    labels = frame.restore_labels(
        np.random.default_rng(1).random((outputs, *array.shape[1:]), np.float32), described.labels
    )
    kept, _ = apply_postprocessing(labels, described.components, described.labels)
    return described, seen, kept
