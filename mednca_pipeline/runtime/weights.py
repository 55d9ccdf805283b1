"""A fold's weights: the arrays of a safetensors file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputError
from .files import require_file

_REMEDY = "Give the final.safetensors of a fold."


@dataclass(frozen=True)
class FoldWeights:
    """arrays: float32, by their names in the network. source: the file that they come from, for messages."""

    arrays: Mapping[str, np.ndarray]
    source: str


def read_weights(path: Path) -> FoldWeights:
    """The weights in a file. Raises InputError when it is missing, and as `parse_weights`."""
    require_file(path, "the weights of a fold", "Train the fold, or check the path.")
    return parse_weights(path.read_bytes(), str(path))


def parse_weights(content: bytes, source: str) -> FoldWeights:
    """The weights in the bytes of a safetensors file. float16, as in small bundles, becomes float32.

    Raises InputError for anything else, and for values that are not finite.
    """
    from safetensors.numpy import load

    try:
        stored = load(content)
    except Exception as error:  # of the library, whose own errors share no class
        found = f"something else ({error})"
        raise InputError(source, "a safetensors file", found, _REMEDY) from error
    for name, array in stored.items():
        if array.dtype not in (np.float32, np.float16):
            raise InputError(f"{source}: {name}", "float32 or float16", str(array.dtype), _REMEDY)
        if not np.isfinite(array).all():
            raise InputError(f"{source}: {name}", "finite numbers", "others", _REMEDY)
    return FoldWeights({name: array.astype(np.float32, copy=False) for name, array in stored.items()}, source)
