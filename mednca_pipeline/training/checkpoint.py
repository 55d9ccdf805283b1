"""The checkpoint of a training: written as it goes, read to resume it."""

from pathlib import Path

import torch

from ..runtime.errors import InputError
from ..runtime.files import replacing
from .state import TrainingState


def save_checkpoint(path: Path, state: TrainingState, identity: str) -> None:
    """identity: of the plans and cases that the training belongs to."""
    earlier = state.good if state.good and state.good["iteration"] < state.iteration else None
    with replacing(path) as temporary:
        torch.save({**state.snapshot(), "good": earlier, "identity": identity}, temporary)


def load_checkpoint(path: Path, state: TrainingState, identity: str) -> None:
    """Restores `state`. Raises InputError when the checkpoint is missing or was made with other plans or cases."""
    if not path.exists():
        raise InputError(
            f"Nothing to continue: {path} does not exist. Start the training without --continue, or check the fold, "
            "--model and --config."
        )
    device = next(state.model.parameters()).device
    snapshot = torch.load(path, map_location=device, weights_only=True)
    if snapshot["identity"] != identity:
        raise InputError(
            f"{path} was trained with other plans or on other cases than the present plans.json and splits.json say. "
            "Plan as before, or start again with --force (which overwrites this fold)."
        )
    state.restore(snapshot)
    state.good = snapshot["good"] or state.snapshot()
