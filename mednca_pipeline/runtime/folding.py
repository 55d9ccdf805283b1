"""From a Med-NCA's weights, as training stores them, to the folded rules of light_nca.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .errors import InputError
from .light_nca import Level, LightNCA, Rule


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file by name. Raises InputError when it is missing or damaged."""
    from safetensors.numpy import load_file

    if not path.exists():
        raise InputError(f"The weights {path} do not exist.")
    try:
        return load_file(path)
    except Exception as error:
        raise InputError(f"{path} is not a safetensors file: {error}. Give the final.safetensors of a fold.") from error


def light_nca(
    weights: Mapping[str, np.ndarray],
    levels: Sequence[tuple[tuple[int, ...], int]],
    *,
    channels: int,
    n_image: int,
    n_outputs: int,
    fire_rate: float,
    border: str,
    norm: str,
    sigmoid: bool,
    source: Path,
) -> LightNCA:
    """weights: by their names in models.mednca.MedNCA; `source` is the file that they are from.

    levels: (factor, steps), coarsest first. channels: of the state; n_image: of these, the fixed ones.
    Raises InputError when the weights are of another architecture.
    """
    dim = len(levels[0][0])
    rules = []
    for index in range(len(levels)):
        prefix = f"cells.{index}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        _check(own, prefix, channels, n_image, dim, norm, source)
        rules.append(_rule(own, n_image, norm))
    if any(name.startswith(f"cells.{len(levels)}.") for name in weights):
        raise InputError(f"The weights {source} are of another architecture: they have more than {len(levels)} levels.")
    made = tuple(Level(tuple(factor), steps, rule) for (factor, steps), rule in zip(levels, rules, strict=True))
    return LightNCA(made, fire_rate, border, n_outputs, sigmoid)


def _check(
    own: Mapping[str, np.ndarray], prefix: str, channels: int, n_image: int, dim: int, norm: str, source: Path
) -> None:
    """Raises InputError naming the first weight of a level that has another shape than the plan says."""
    found = own.get("hidden.weight", np.empty(0)).shape
    hidden, banks = (found[0] if found else 0), "banks.0.weight" in own
    expected = {
        "hidden.weight": (hidden, 3 * channels, *(1,) * dim) if banks else (hidden, channels, *(3,) * dim),
        "update.weight": (channels if banks else channels - n_image, hidden),
    }
    if norm != "none":
        expected |= {"norm.weight": (hidden,), "norm.bias": (hidden,)}
    for name, shape in expected.items():
        if own.get(name, np.empty(0)).shape != shape:
            raise InputError(
                f"The weights {source} are of another architecture. {prefix}{name}: expected {shape}, found "
                f"{own[name].shape if name in own else None}. Use weights of the same plan."
            )


def _rule(own: Mapping[str, np.ndarray], n_image: int, norm: str) -> Rule:
    matrix, bias, update = own["hidden.weight"], own.get("hidden.bias"), own["update.weight"]
    if "banks.0.weight" in own:
        matrix, bias = _with_banks(own, matrix, bias)
        update = update[n_image:]  # the published layer's rows for the image channel change nothing
    gain, shift = own.get("norm.weight"), own.get("norm.bias")
    return Rule.folded(matrix, bias, update, n_image, norm, gain, shift)


def _with_banks(own: Mapping[str, np.ndarray], mixing: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The identity, the filter banks and the layer that mixes them, all linear, as one convolution (H, C, 3, ...)."""
    channels = len(own["banks.0.bias"])
    taps = own["banks.0.weight"].shape[2:]
    identity, *mixes = np.split(mixing.reshape(len(mixing), -1), [channels, 2 * channels], axis=1)  # each (H, C)
    matrix = np.zeros((len(mixing), channels, *taps), np.float32)
    matrix[(..., *(1 for _ in taps))] = identity
    for index, mix in enumerate(mixes):
        matrix += np.tensordot(mix, own[f"banks.{index}.weight"], axes=1)
        bias = bias + mix @ own[f"banks.{index}.bias"]
    return matrix, bias
