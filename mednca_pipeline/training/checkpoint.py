"""The checkpoint of a training: written as it goes, read to resume it."""

from pathlib import Path

import torch

from ..runtime.errors import InputError
from ..runtime.files import replacing
from .state import TrainingState


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
    snapshot = torch.load(path, map_location=device, weights_only=True)
    if snapshot["identity"] != identity:
        raise InputError(
            path,
            "a training with the present plans.json and splits.json",
            "one with other plans or on other cases",
            "Plan as before, or start again with --force, which overwrites this fold.",
        )
    state.restore(snapshot)
    state.good = snapshot["good"] or state.snapshot()
