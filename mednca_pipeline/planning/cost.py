"""Floating-point operations of a training step, and what is decided by them."""

import math
from collections.abc import Sequence

from ..plans.plans import NCAPlan
from .levels import grid_shape
from .rule import Chosen, power_of_two_below
from .unet_topology import Topology

BACKWARD = 3  # a training pass costs about three forward passes
MOST_3D_FLOP = 5e9  # of a whole-case training pass, for 3D to be the default
SMALL_BATCH_FLOP = 40e9  # of an iteration of the small UNet: about a second on two CPU cores


def nca_pass_flop(plan: NCAPlan, size: Sequence[int]) -> float:
    """One training pass of `mednca` over a whole image (*spatial), every level seen as a whole."""
    per_cell = 2 * plan.channels * plan.hidden * (3 ** len(size) + 1)
    cell_steps = sum(math.prod(grid_shape(size, level.factor)) * level.steps for level in plan.levels)
    return float(BACKWARD * per_cell * cell_steps)


def unet_pass_flop(topology: Topology, features: Sequence[int], n_image: int) -> float:
    """One training pass of a DynUNet over one patch; each convolution as multiply-adds."""
    flop, size, previous = 0.0, list(topology.patch), n_image
    for stage, (stride, kernel, width) in enumerate(
        zip(topology.strides, topology.kernel_sizes, features, strict=True)
    ):
        size = [math.ceil(side / step) for side, step in zip(size, stride, strict=True)]
        taps = math.prod(kernel) * math.prod(size)
        flop += 2 * taps * (previous + width) * width
        if stage < len(features) - 1:
            flop += 2 * taps * 3 * width * width
        previous = width
    return BACKWARD * flop


def small_unet_batch(topology: Topology, features: Sequence[int], n_image: int) -> int:
    """The batch that makes an iteration about a second long on two CPU cores, from 4 (in 3D 2) to 16."""
    flop = unet_pass_flop(topology, features, n_image)
    fewest = 4 if len(topology.patch) == 2 else 2
    return min(max(power_of_two_below(SMALL_BATCH_FLOP / flop), fewest), 16)


def default_config(flop_3d: float | None) -> Chosen:
    """2D for 2D images; 3D for volumes only when a training pass over a whole case is cheap."""
    if flop_3d is None:
        return Chosen("2d", "the images are 2D")
    limit = f"{MOST_3D_FLOP / 1e9:g} GFLOP"
    cost = f"a 3D training pass over a whole case costs {flop_3d / 1e9:.3g} GFLOP"
    if flop_3d < MOST_3D_FLOP:
        return Chosen("3d", f"{cost}, below {limit}")
    return Chosen("2d", f"{cost}; 3D is the default only below {limit}")
