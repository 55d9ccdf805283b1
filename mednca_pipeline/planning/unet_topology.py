"""The UNets: nnU-Net's pooling, features and patch, and a small one of about half a million parameters.

Source: Isensee et al., nnU-Net, Nature Methods 2021, supplementary note 3; the rules are written anew.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..models.unet_cost import network_parameters
from .rule import Chosen, round_up, times

SMALLEST_MAP = 4  # no axis of a feature map becomes shorter
ANISOTROPY = 2.0  # an axis so much coarser than the finest is not yet pooled and has no kernel yet
FEATURES, MOST_FEATURES = 32, {2: 512, 3: 320}
FEWEST_STAGES = 3  # MONAI's DynUNet has no fewer
SMALL_FEATURES, SMALL_PARAMETERS, SMALL_POOLS = {2: (16,), 3: (8, 12)}, 500_000, 4
SMALL_WIDTHS = range(16, 129, 8)


@dataclass(frozen=True)
class Topology:
    """One entry per stage, finest first. `patch` is a multiple of the strides' product."""

    patch: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernel_sizes: tuple[tuple[int, ...], ...]


def topology(size: Sequence[int], spacing_mm: Sequence[float], most_pools: int | None = None) -> Topology:
    """Pools every axis that can be halved to at least 4 voxels. A coarser axis waits until the others have caught up.

    Images too small for three stages are padded to 16 voxels.
    """
    chosen = _topology(size, spacing_mm, most_pools)
    if len(chosen.strides) < FEWEST_STAGES:
        padded = [max(side, SMALLEST_MAP * 2 ** (FEWEST_STAGES - 1)) for side in size]
        return _topology(padded, spacing_mm, most_pools)
    return chosen


def _topology(size: Sequence[int], spacing_mm: Sequence[float], most_pools: int | None) -> Topology:
    dim = len(size)
    sides, spacing = list(size), list(spacing_mm)
    kernel = [1] * dim
    strides, kernels = [(1,) * dim], []
    while most_pools is None or len(strides) <= most_pools:
        long_enough = [axis for axis in range(dim) if sides[axis] >= 2 * SMALLEST_MAP]
        finest = min((spacing[axis] for axis in long_enough), default=0)
        pooled = [axis for axis in long_enough if spacing[axis] < ANISOTROPY * finest]
        if not pooled or (len(pooled) == 1 and dim > 1 and sides[pooled[0]] < 3 * SMALLEST_MAP):
            break
        kernel = _kernel(kernel, spacing)
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in pooled else 1 for axis in range(dim)))
        for axis in pooled:
            sides[axis], spacing[axis] = math.ceil(sides[axis] / 2), spacing[axis] * 2
    kernels.append((3,) * dim)
    total = [math.prod(column) for column in zip(*strides, strict=True)]
    patch = tuple(round_up(side, multiple) for side, multiple in zip(size, total, strict=True))
    return Topology(patch, tuple(strides), tuple(kernels))


def _kernel(kernel: Sequence[int], spacing_mm: Sequence[float]) -> list[int]:
    finest = min(spacing_mm)
    return [3 if k == 3 or s < ANISOTROPY * finest else 1 for k, s in zip(kernel, spacing_mm, strict=True)]


def features(stages: int, first: int, most: int) -> tuple[int, ...]:
    """Doubling from stage to stage up to a limit."""
    return tuple(min(first * 2**stage, most) for stage in range(stages))


def small_features(chosen: Topology, n_image: int, n_outputs: int) -> tuple[int, ...]:
    """Doubling features whose limit brings the network closest to half a million parameters."""
    stages, firsts = len(chosen.strides), SMALL_FEATURES[len(chosen.patch)]
    candidates = (features(stages, first, most) for first in firsts for most in SMALL_WIDTHS)

    def distance(widths: tuple[int, ...]) -> int:
        total = network_parameters(widths, chosen.strides, chosen.kernel_sizes, n_image, n_outputs)
        return abs(total - SMALL_PARAMETERS)

    return min(candidates, key=distance)


def fitting(
    size: Sequence[int], spacing_mm: Sequence[float], fits: Callable[[Topology], bool], most_pools: int | None = None
) -> Chosen[Topology]:
    """The topology of the largest patch that fits. The patch begins as `size`; its relatively longest axis shrinks."""
    sides = list(size)
    chosen = topology(sides, spacing_mm, most_pools)
    while not fits(chosen):
        multiples = [math.prod(column) for column in zip(*chosen.strides, strict=True)]
        shrinkable = [axis for axis, side in enumerate(chosen.patch) if side - multiples[axis] >= 2 * SMALLEST_MAP]
        if not shrinkable:
            break
        longest = max(shrinkable, key=lambda axis: chosen.patch[axis] / size[axis])
        sides = list(chosen.patch)
        sides[longest] -= multiples[longest]
        smaller = topology(sides, spacing_mm, most_pools)
        if math.prod(smaller.patch) >= math.prod(chosen.patch):  # the stages allow no smaller patch
            break
        chosen = smaller
    if sides == list(size):
        return Chosen(chosen, f"the whole image ({times(size)}), rounded up to the product of the strides")
    return Chosen(chosen, f"the largest part of {times(size)} whose training step fits the memory budget")
