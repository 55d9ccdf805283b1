"""Weights in half the bytes."""

import numpy as np
from safetensors.numpy import save

from ..runtime.errors import InputError
from ..runtime.weights import FoldWeights

MANTISSA_BITS = 8  # of float16's 10


def float16_file(weights: FoldWeights) -> bytes:
    """A safetensors file of the weights in float16. Raises InputError for weights that are too large for it."""
    made = {name: rounded(array) for name, array in weights.arrays.items()}
    for name, array in made.items():
        if not np.isfinite(array).all():
            largest = f"{np.abs(weights.arrays[name]).max():g}"
            raise InputError(f"{weights.source}: {name}", "weights below 65,000", largest, "Use --dtype float32.")
    return save(made)


def rounded(array: np.ndarray) -> np.ndarray:
    """float32 -> the nearest float16 whose mantissa ends in zeros after MANTISSA_BITS bits.

    A zip stores zeros in almost no space, and the last two bits are worth less Dice than their bytes
    (results/benchmarks/bundle.md).
    """
    spare = 10 - MANTISSA_BITS
    with np.errstate(over="ignore"):  # the caller looks for infinity
        bits = array.astype(np.float16).view(np.uint16).astype(np.uint32)
    half_way = (1 << (spare - 1)) - 1 + ((bits >> spare) & 1)  # ties go to the even one
    return ((bits + half_way) >> spare << spare).astype(np.uint16).view(np.float16)
