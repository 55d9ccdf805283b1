"""Models as a command line names them: mednca, or with their configuration, mednca_2d, as their folders are called."""

from collections.abc import Sequence

from ..models.registry import MODELS
from ..runtime.errors import InputError

CONFIGS = ("2d", "3d")


def split_model(name: str) -> tuple[str, str | None]:
    """(model, configuration or None). Raises InputError for a model that does not exist."""
    model, _, config = name.rpartition("_")
    if name in MODELS:
        return name, None
    if model in MODELS and config in CONFIGS:
        return model, config
    raise InputError("model", f"one of {', '.join(MODELS)}, or with a configuration, such as mednca_2d", repr(name))


def one_config(config: str | None, others: Sequence[str | None], remedy: str = "") -> str | None:
    """The configuration that an option and the names of models agree on. Raises InputError where they differ."""
    named = list(dict.fromkeys(filter(None, (config, *others))))
    if len(named) > 1:
        raise InputError("the configuration", "one", " and ".join(named), remedy)
    return named[0] if named else None
