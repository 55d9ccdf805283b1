"""Automated medical image segmentation with Med-NCA for small hardware.

The package's door: what is in `__all__` is loaded when it is first used, so importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "PredictionOptions",
    "Predictor",
    "crossvalidate",
    "evaluate",
    "plan",
    "predict",
    "read_image",
    "train",
    "write_labels",
]

if TYPE_CHECKING:
    from .api import crossvalidate, evaluate, plan, predict, train
    from .inference.options import PredictionOptions
    from .inference.predictor import Predictor
    from .runtime.errors import InputError
    from .runtime.images import read_image, write_labels

_ROOMS = {
    "InputError": "runtime.errors",
    "PredictionOptions": "inference.options",
    "Predictor": "inference.predictor",
    "read_image": "runtime.images",
    "write_labels": "runtime.images",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_ROOMS.get(name, 'api')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
