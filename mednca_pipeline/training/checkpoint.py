"""The checkpoint of a training: written as it goes, read to resume it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..runtime.errors import InputError
from ..runtime.files import replacing, require_file
from ..runtime.records import Index, Measured, from_dict
from .state import TrainingState

_REMEDY = "Start the training again with --force."


@dataclass(frozen=True)
class _Snapshot:
    """What TrainingState.snapshot makes."""

    model: dict[str, Any]
    ema: dict[str, Any]
    optimisers: tuple[dict[str, Any], ...]
    guard: dict[str, Measured]
    iterations: Index
    iteration: Index
    best_dice: Measured
    minutes: float
    epoch_sums: dict[str, Measured]
    rows: tuple[dict[str, Measured], ...]


@dataclass(frozen=True)
class _Checkpoint(_Snapshot):
    good: dict[str, Any] | None
    identity: str


def save_checkpoint(path: Path, state: TrainingState, identity: str) -> None:
    """identity: of the plans and cases that the training belongs to."""
    earlier = state.good if state.good and state.good["iteration"] < state.iteration else None
    with replacing(path, durable=True) as temporary:
        torch.save({**state.snapshot(), "good": earlier, "identity": identity}, temporary)


def load_checkpoint(path: Path, state: TrainingState, identity: str) -> None:
    """Restores `state`. Raises InputError when the checkpoint is missing or was made with other plans or cases."""
    if not path.exists():
        remedy = "Start the training without --continue, or check the fold, --model and --config."
        raise InputError(path, "the checkpoint of a training to continue", "no such file", remedy)
    device = next(state.model.parameters()).device
    snapshot = _read(path, device)
    if snapshot["identity"] != identity:
        raise InputError(
            path,
            "a training with the present plans.json and splits.json",
            "one with other plans or on other cases",
            "Plan as before, or start again with --force, which overwrites this fold.",
        )
    try:
        state.restore(snapshot)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        found = f"one of another model ({str(error).splitlines()[0]})" if str(error) else "one of another model"
        raise InputError(path, "the checkpoint of this model", found, _REMEDY) from error
    state.good = snapshot["good"] or state.snapshot()


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    """The contents of a checkpoint, whose checksums and kinds of values are right."""
    require_file(path, "a checkpoint", _REMEDY)
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise InputError(path, "an intact checkpoint", f"a wrong checksum of {damaged}", _REMEDY)
        snapshot = torch.load(path, map_location=device, weights_only=True)
    except InputError:
        raise
    except Exception as error:  # of torch and of zipfile, whose errors for damaged files share no class
        found = f"a damaged file or something else ({type(error).__name__})"
        raise InputError(path, "a checkpoint", found, _REMEDY) from error
    from_dict(_Checkpoint, snapshot, str(path))
    if snapshot["good"] is not None:
        from_dict(_Snapshot, snapshot["good"], f"{path}: good")
    kept: dict[str, Any] = snapshot
    return kept
