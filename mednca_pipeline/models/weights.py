"""A model's weights as a safetensors file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..runtime.errors import InputError
from ..runtime.files import replacing
from ..runtime.folding import OTHER_ARCHITECTURE
from ..runtime.weights import FoldWeights, read_weights


def save_weights(path: Path, model: nn.Module) -> None:
    with replacing(path, durable=True) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in _unique_tensors(model).items()}, temporary)


def load_weights(path: Path, model: nn.Module) -> None:
    """Loads safetensors into `model`. Raises InputError naming the first parameters that do not fit."""
    set_weights(read_weights(path), model)


def set_weights(given: FoldWeights, model: nn.Module) -> None:
    """As load_weights, of weights that are read."""
    weights = {name: torch.from_numpy(array) for name, array in given.arrays.items()}
    expected = {name: tuple(tensor.shape) for name, tensor in _unique_tensors(model).items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        names = [name for name in sorted(expected | found) if expected.get(name) != found.get(name)][:3]
        raise InputError(given.source, _shapes(names, expected), _shapes(names, found), OTHER_ARCHITECTURE)
    model.load_state_dict(weights, strict=False)  # not strict: other names of the same tensors are left out


def _shapes(names: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} of shape {shapes[name]}" if name in shapes else f"no {name}" for name in names)


def _unique_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors, each under its first name: DynUNet holds every layer under two names."""
    unique: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict().items():
        unique.setdefault(tensor.data_ptr(), (name, tensor))
    return dict(unique.values())
