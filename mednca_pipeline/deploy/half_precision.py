"""Weights in half the bytes."""

import numpy as np
from safetensors.numpy import save

from ..runtime.errors import InputError
from ..runtime.weights import FoldWeights

MANTISSA_BITS = 8  # of float16's 10
_SMALLEST_EXPONENT = -14  # of float16


def float16_file(weights: FoldWeights) -> bytes:
    """A safetensors file of the weights in float16. Raises InputError for weights that are too large for it."""
    made = {name: rounded(array) for name, array in weights.arrays.items()}
    for name, array in made.items():
        if not np.isfinite(array).all():
            largest = f"{np.abs(weights.arrays[name]).max():g}"
            raise InputError(f"{weights.source}: {name}", "weights below 65,000", largest, "Use --dtype float32.")
    return save(made)


def rounded(array: np.ndarray) -> np.ndarray:
    """float32 -> the nearest float16 whose mantissa ends in zeros after MANTISSA_BITS bits; ties go to the even one.

    A zip stores zeros in almost no space, and the last two bits are worth less Dice than their bytes
    (results/benchmarks/bundle.md).
    """
    _, above = np.frexp(array.astype(np.float64))  # 2^(above - 1) <= |value| < 2^above
    step = np.ldexp(1.0, np.maximum(above - 1, _SMALLEST_EXPONENT) - MANTISSA_BITS)
    with np.errstate(over="ignore"):  # the caller looks for infinity
        return (np.rint(array / step) * step).astype(np.float16)
