"""What a DynUNet costs, before it is built: weights, memory of a training step, floating-point operations.

The factors were fitted to the peak resident memory of these models' training steps in float32 on a CPU (torch 2.13);
`python -m benchmarks.memory` measures them again.
"""

import math
from collections.abc import Sequence

from ..plans.model_plans import UNetPlan
from .cost_units import BACKWARD, FLOAT_BYTES, WEIGHT_COPIES

LIBRARY_BYTES = 116_000_000  # workspaces that the first step allocates
KEPT_PER_CONVOLUTION = 2.0  # feature maps: the output, and the same normalised
LOSS_MAPS = {2: 32, 3: 14}  # maps of the outputs per supervised head

Sizes = Sequence[Sequence[int]]  # per stage and axis


def heads(stages: int) -> int:
    """The number of outputs below the finest that have a loss of their own. The two coarsest stages have none."""
    return max(0, min(stages - 2, 3))


def parameters(plan: UNetPlan, n_image: int, n_outputs: int) -> int:
    """The number of weights of the planned DynUNet, as `models.unet` builds it."""
    return network_parameters(plan.features, plan.strides, plan.kernel_sizes, n_image, n_outputs)


def network_parameters(widths: Sequence[int], strides: Sizes, kernels: Sizes, n_image: int, n_outputs: int) -> int:
    total, previous = 0, n_image
    for kernel, width in zip(kernels, widths, strict=True):
        total += _block(previous, width, kernel)
        previous = width
    for stage in range(len(widths) - 2, -1, -1):
        width = widths[stage]
        total += widths[stage + 1] * width * math.prod(strides[stage + 1]) + _block(
            2 * width, width, kernels[stage + 1]
        )
    return total + sum((width + 1) * n_outputs for width in widths[: heads(len(widths)) + 1])


def _block(inputs: int, width: int, kernel: Sequence[int]) -> int:
    """Two convolutions without bias, each with an affine norm."""
    return (inputs + width) * width * math.prod(kernel) + 4 * width


def step_bytes(plan: UNetPlan, n_image: int, n_outputs: int) -> int:
    """Peak memory of one training step with deep supervision."""
    kept, size, features = 0.0, list(plan.patch), plan.features
    for stage, (stride, width) in enumerate(zip(plan.strides, features, strict=True)):
        size = [math.ceil(side / step) for side, step in zip(size, stride, strict=True)]
        convolutions = 2 if stage == len(features) - 1 else 5  # the decoder adds two, the first on twice the channels
        kept += convolutions * KEPT_PER_CONVOLUTION * width * math.prod(size)
    voxels, dim = math.prod(plan.patch), len(plan.patch)
    floats = kept + voxels * (3 * features[0] + n_image + max(1, heads(len(features))) * LOSS_MAPS[dim] * n_outputs)
    weights = WEIGHT_COPIES * parameters(plan, n_image, n_outputs)
    return int(FLOAT_BYTES * (plan.training.batch_size * floats + weights)) + LIBRARY_BYTES


def flop(plan: UNetPlan, n_image: int) -> float:
    """Floating-point operations of one training pass over one patch; a multiply-add counts as two."""
    flop, size, previous = 0.0, list(plan.patch), n_image
    for stage, (stride, kernel, width) in enumerate(zip(plan.strides, plan.kernel_sizes, plan.features, strict=True)):
        size = [math.ceil(side / step) for side, step in zip(size, stride, strict=True)]
        taps = math.prod(kernel) * math.prod(size)
        flop += 2 * taps * (previous + width) * width
        if stage < len(plan.features) - 1:
            flop += 2 * taps * 3 * width * width
        previous = width
    return BACKWARD * flop
