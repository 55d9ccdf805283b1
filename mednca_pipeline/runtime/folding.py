"""From a Med-NCA's weights, as training stores them, to the folded rules of light_nca.py."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .grid import Border
from .light_nca import Level, LightNCA, Norm, NormKind, Rule
from .weights import FoldWeights

OTHER_ARCHITECTURE = "These weights are of another architecture: use weights of the same plan."


@dataclass(frozen=True)
class Architecture:
    """What the weights of a Med-NCA do not say.

    levels: (factor, steps), coarsest first. channels: all of the state, of which the first `n_image` are fixed.
    sigmoid: as in LightNCA.
    """

    levels: tuple[tuple[tuple[int, ...], int], ...]
    channels: int
    n_image: int
    n_outputs: int
    fire_rate: float
    border: Border
    norm: NormKind
    sigmoid: bool


def light_nca(weights: FoldWeights, form: Architecture) -> LightNCA:
    """The network that these weights make.

    weights: by their names in models.mednca.MedNCA.
    Raises InputError when the weights are of another architecture.
    """
    arrays, source, made = weights.arrays, weights.source, []
    for index, (factor, steps) in enumerate(form.levels):
        prefix = f"cells.{index}."
        own = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        sides = own["hidden.weight"].shape if "hidden.weight" in own else ()
        expected = cell_shapes(form, sides[0] if sides else 0, "banks.0.weight" in own)
        check_shapes({name: array.shape for name, array in own.items()}, expected, f"{source}: {prefix}")
        made.append(Level(factor, steps, _rule(own, form.n_image, form.norm)))
    if any(name.startswith(f"cells.{len(made)}.") for name in arrays):
        raise InputError(source, f"weights of {len(made)} levels", f"more than {len(made)}", OTHER_ARCHITECTURE)
    return LightNCA(tuple(made), form.fire_rate, form.border, form.n_outputs, form.sigmoid)


def cell_shapes(form: Architecture, hidden: int, banks: bool) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a level, by its name in models.nca.Cell. banks: of the perception "paper"."""
    total = form.channels
    taps, centre = ((side,) * len(form.levels[0][0]) for side in (3, 1))
    if banks:
        shapes: dict[str, tuple[int, ...]] = {
            "hidden.weight": (hidden, 3 * total, *centre),
            "update.weight": (total, hidden),
            "banks.0.weight": (total, total, *taps),
            "banks.0.bias": (total,),
            "banks.1.weight": (total, total, *taps),
            "banks.1.bias": (total,),
        }
    else:
        shapes = {"hidden.weight": (hidden, total, *taps), "update.weight": (total - form.n_image, hidden)}
    if banks or form.norm == "none":
        shapes["hidden.bias"] = (hidden,)
    if form.norm != "none":
        shapes |= {"norm.weight": (hidden,), "norm.bias": (hidden,)}
    return shapes


def check_shapes(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Raises InputError that names the first weight of another shape, or one that is missing or not expected."""
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            needed = f"shape {expected[name]}" if name in expected else "no such weight"
            given = f"shape {found[name]}" if name in found else "no such weight"
            raise InputError(f"{where}{name}", needed, given, OTHER_ARCHITECTURE)


def _rule(own: Mapping[str, np.ndarray], n_image: int, norm: NormKind) -> Rule:
    matrix, bias, update = own["hidden.weight"], own.get("hidden.bias"), own["update.weight"]
    if "banks.0.weight" in own:
        matrix, bias = _with_banks(own)
        update = update[n_image:]  # the published layer's rows for the image channel change nothing
    affine = None if norm == "none" else Norm(norm, own["norm.weight"], own["norm.bias"])
    return Rule.folded(matrix, bias, update, n_image, affine)


def _with_banks(own: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The identity, the filter banks and the layer that mixes them as one convolution: matrix (H, C, 3, ...), bias (H).

    All three are linear.
    """
    mixing, bias = own["hidden.weight"], own["hidden.bias"]
    channels = len(own["banks.0.bias"])
    taps = own["banks.0.weight"].shape[2:]
    identity, *mixes = np.split(mixing.reshape(len(mixing), -1), [channels, 2 * channels], axis=1)  # each (H, C)
    matrix = np.zeros((len(mixing), channels, *taps), np.float32)
    centre: tuple[slice | int, ...] = (slice(None), slice(None), *(1 for _ in taps))
    matrix[centre] = identity
    for index, mix in enumerate(mixes):
        matrix += np.tensordot(mix, own[f"banks.{index}.weight"], axes=1)
        bias = bias + mix @ own[f"banks.{index}.bias"]
    return matrix, bias
