"""A model's weights as a safetensors file."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..runtime.errors import InputError
from ..runtime.files import replacing


def save_weights(path: Path, model: nn.Module) -> None:
    with replacing(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in _unique_tensors(model).items()}, temporary)


def load_weights(path: Path, model: nn.Module) -> None:
    """Loads safetensors into `model`. Raises InputError naming the first parameters that do not fit."""
    if not path.exists():
        raise InputError(f"The weights {path} do not exist.")
    try:
        weights = load_file(path)
    except Exception as error:
        raise InputError(f"{path} is not a safetensors file: {error}. Give the final.safetensors of a fold.") from error
    expected = {name: tuple(tensor.shape) for name, tensor in _unique_tensors(model).items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        names = [name for name in sorted(expected | found) if expected.get(name) != found.get(name)][:3]
        details = "; ".join(f"{name}: expected {expected.get(name)}, found {found.get(name)}" for name in names)
        raise InputError(f"The weights {path} are of another architecture. {details}. Use weights of the same plan.")
    model.load_state_dict(weights, strict=False)  # not strict: other names of the same tensors are left out


def _unique_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state's tensors, each under its first name: DynUNet holds every layer under two names."""
    unique: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict().items():
        unique.setdefault(tensor.data_ptr(), (name, tensor))
    return dict(unique.values())
