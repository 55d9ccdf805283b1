"""What a Med-NCA costs, before it is built: weights, memory of a training step, floating-point operations.

The factors were fitted to the peak resident memory of these models' training steps in float32 on a CPU (torch 2.13);
`python -m benchmarks.memory` measures them again.
"""

import math
from collections.abc import Sequence

from ..plans.model_plans import NCAPlan, grid_shape
from .cost_units import BACKWARD, FLOAT_BYTES
from .firing import computed_share

LIBRARY_BYTES = 75_000_000  # workspaces that the first step allocates
HIDDEN_MAPS = 6.3  # maps of a level's hidden units that its backward pass holds at once, besides those of the steps
FIRE_MASK = 0.25  # floats per cell and step
SPARSE_OVERHEAD = 1.3  # some memory is lost between pieces of varying size
IMAGE_MAPS = 8  # float32 maps of image and targets per sample at full resolution, per channel and output


def parameters(plan: NCAPlan, dim: int, n_image: int) -> int:
    """The number of weights of a planned network, as `models.nca` builds it."""
    c, h, taps = plan.channels, plan.hidden, 3**dim
    if plan.perception == "paper":
        return len(plan.levels) * (2 * (c * c * taps + c) + 3 * c * h + h + h * c)
    bias = h if plan.norm == "none" else 2 * h
    return len(plan.levels) * (c * taps * h + bias + h * (c - n_image))


def step_bytes(plan: NCAPlan, size: Sequence[int], n_image: int, n_outputs: int, device: str = "cpu") -> int:
    """Peak memory of one training step, with what models.dense or models.sparse keeps for the backward pass.

    size: sides of the images (*spatial); levels without a patch see whole images. device: a torch device type. The
    sparse form needs less memory and runs on CPUs only.
    """
    computed = computed_share(plan.fire_rate, device)
    state, hidden, keep_every = plan.channels - n_image, plan.hidden, plan.keep_every
    of_step: float = state + computed * (hidden if plan.norm == "none" else 2 * hidden + 2)
    of_step *= SPARSE_OVERHEAD if computed < 1 else 1
    kept: float = math.prod(size) * (n_image + n_outputs) * IMAGE_MAPS
    passing = 0.0
    for level in plan.levels:
        cells = math.prod(level.patch or grid_shape(size, level.factor))
        kept += cells * (level.steps * FIRE_MASK + hidden + plan.channels)  # with the image's part of the hidden units
        kept += cells * (math.ceil(level.steps / keep_every) * state if keep_every else level.steps * of_step)
        passing = max(passing, cells * (min(keep_every, level.steps) * of_step + HIDDEN_MAPS * hidden))
    return int(plan.training.batch_size * (kept + passing) * FLOAT_BYTES) + LIBRARY_BYTES


def flop(plan: NCAPlan, size: Sequence[int]) -> float:
    """Floating-point operations of one training pass over a whole image (*spatial), without patches."""
    per_cell = 2 * plan.channels * plan.hidden * (3 ** len(size) + 1)
    cell_steps = sum(math.prod(grid_shape(size, level.factor)) * level.steps for level in plan.levels)
    return float(BACKWARD * per_cell * cell_steps)
