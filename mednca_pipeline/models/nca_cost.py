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
HIDDEN_MAPS = 6.3  # of the hidden units of a level, alive at once in its backward pass besides those of the steps
FIRE_MASK = 0.25  # floats, of a cell and step
SPARSE_OVERHEAD = 1.3  # pieces of memory of varying size, between which some is lost
IMAGE_MAPS = 8  # float32 maps of image and targets per sample at full resolution, per channel and output


def parameters(plan: NCAPlan, dim: int, n_image: int) -> int:
    """Weights of a planned network, as `models.nca` builds it."""
    c, h, taps = plan.channels, plan.hidden, 3**dim
    if plan.perception == "paper":
        return len(plan.levels) * (2 * (c * c * taps + c) + 3 * c * h + h + h * c)
    bias = h if plan.norm == "none" else 2 * h
    return len(plan.levels) * (c * taps * h + bias + h * (c - n_image))


def step_bytes(plan: NCAPlan, size: Sequence[int], n_image: int, n_outputs: int, device: str = "cpu") -> int:
    """Peak of one training step, as models.dense or models.sparse keeps it for the backward pass.

    size: of the images (*spatial); levels without a patch see the whole of it. device: the sparse form, which needs
    less, runs on CPUs only.
    """
    computed = computed_share(plan.fire_rate, device)
    state, hidden, keep_every = plan.channels - n_image, plan.hidden, plan.keep_every
    of_step = state + computed * (hidden if plan.norm == "none" else 2 * hidden + 2)
    of_step *= SPARSE_OVERHEAD if computed < 1 else 1
    kept, passing = math.prod(size) * (n_image + n_outputs) * IMAGE_MAPS, 0.0
    for level in plan.levels:
        cells = math.prod(level.patch or grid_shape(size, level.factor))
        kept += cells * (level.steps * FIRE_MASK + hidden + plan.channels)  # the image's part of the hidden units
        kept += cells * (math.ceil(level.steps / keep_every) * state if keep_every else level.steps * of_step)
        passing = max(passing, cells * (min(keep_every, level.steps) * of_step + HIDDEN_MAPS * hidden))
    return int(plan.training.batch_size * (kept + passing) * FLOAT_BYTES) + LIBRARY_BYTES


def flop(plan: NCAPlan, size: Sequence[int]) -> float:
    """Floating-point operations of one training pass over a whole image (*spatial), every level seen as a whole."""
    per_cell = 2 * plan.channels * plan.hidden * (3 ** len(size) + 1)
    cell_steps = sum(math.prod(grid_shape(size, level.factor)) * level.steps for level in plan.levels)
    return float(BACKWARD * per_cell * cell_steps)
