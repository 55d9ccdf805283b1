"""How much memory a training step takes, before anything is run.

The factors were fitted to the peak resident memory of these models' training steps in float32 on a CPU (torch 2.13).
`python -m benchmarks.memory` measures them again. The interpreter, the libraries and the measuring of the
validation cases, some 750 MB, come on top.
"""

import math
import re
from collections.abc import Callable, Sequence

from ..plans.plans import LevelPlan
from ..runtime.errors import InputError
from .levels import Factor, grid_shape

FLOAT_BYTES = 4
DEFAULT_BYTES = 4_000_000_000
PROCESS_BYTES = 750_000_000  # interpreter and libraries, freed memory in pieces, and measuring the validation cases
LIBRARY_BYTES = 75_000_000  # workspaces that the first step allocates
UNET_LIBRARY_BYTES = 116_000_000
WEIGHT_COPIES = 5  # weights, gradient, two moments of the optimiser, moving average

HIDDEN_MAPS = 6.3  # of the hidden units of a level, alive at once in its backward pass besides those of the steps
FIRE_MASK = 0.25  # floats, of a cell and step
SPARSE_OVERHEAD = 1.3  # pieces of memory of varying size, between which some is lost
IMAGE_MAPS = 8  # float32 maps of image and targets per sample at full resolution, per channel and output
KEPT_PER_CONVOLUTION = 2.0  # feature maps of a UNet: output and normalised
LOSS_MAPS = {2: 32, 3: 14}  # of the outputs, per supervised head

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_memory(text: str) -> int:
    """`4GB`, `1.5 GiB`, `800MB` -> bytes. Raises InputError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    unit = _UNITS.get(match[2].upper()) if match else None
    if unit is None or float(match[1]) <= 0:
        raise InputError(f"Memory {text!r}: expected an amount such as 4GB, 1.5GiB or 800MB.")
    return int(float(match[1]) * unit)


def available_bytes(memory_bytes: int) -> int:
    """What is left of a budget for the training step itself."""
    return max(memory_bytes - PROCESS_BYTES, 0)


def nca_step_bytes(
    levels: Sequence[LevelPlan],
    size: Sequence[int],
    n_image: int,
    n_outputs: int,
    channels: int,
    hidden: int,
    norm: str,
    batch_size: int,
    keep_every: int = 0,
    computed: float = 1.0,
) -> int:
    """Peak of one training step of a Med-NCA, as models.dense or models.sparse keeps it for the backward pass.

    size: of the images (*spatial); levels without a patch see the whole of it. keep_every: see NCAPlan. computed: the
    share of the cells whose hidden units are computed, see models.firing.
    """
    state = channels - n_image
    of_step = state + computed * (hidden if norm == "none" else 2 * hidden + 2)
    of_step *= SPARSE_OVERHEAD if computed < 1 else 1
    kept, passing = math.prod(size) * (n_image + n_outputs) * IMAGE_MAPS, 0.0
    for level in levels:
        cells = math.prod(level.patch or grid_shape(size, level.factor))
        kept += cells * (level.steps * FIRE_MASK + hidden + channels)  # the image's part of the hidden units
        kept += cells * (math.ceil(level.steps / keep_every) * state if keep_every else level.steps * of_step)
        passing = max(passing, cells * (min(keep_every, level.steps) * of_step + HIDDEN_MAPS * hidden))
    return int(batch_size * (kept + passing) * FLOAT_BYTES) + LIBRARY_BYTES


def unet_step_bytes(
    patch: Sequence[int],
    strides: Sequence[Factor],
    features: Sequence[int],
    n_image: int,
    n_outputs: int,
    parameters: int,
    batch_size: int,
) -> int:
    """Peak of one training step of a DynUNet with deep supervision."""
    kept, size = 0.0, list(patch)
    heads = max(1, min(len(features) - 2, 3))
    for stage, (stride, width) in enumerate(zip(strides, features, strict=True)):
        size = [math.ceil(side / step) for side, step in zip(size, stride, strict=True)]
        convolutions = 2 if stage == len(features) - 1 else 5  # the decoder adds two, the first on twice the channels
        kept += convolutions * KEPT_PER_CONVOLUTION * width * math.prod(size)
    voxels = math.prod(patch)
    floats = kept + voxels * (3 * features[0] + n_image + heads * LOSS_MAPS[len(patch)] * n_outputs)
    return int(FLOAT_BYTES * (batch_size * floats + WEIGHT_COPIES * parameters)) + UNET_LIBRARY_BYTES


def largest_batch(most: int, memory_bytes: int, step_bytes: Callable[[int], int]) -> int:
    """`most`, halved until a step fits what is left of the budget; at least 1, even if that does not fit."""
    batch = most
    while batch > 1 and step_bytes(batch) > available_bytes(memory_bytes):
        batch //= 2
    return batch
