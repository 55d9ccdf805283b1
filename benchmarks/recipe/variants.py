"""The variants of the search: name -> changes to the plan of the model that is screened (see screen.changed)."""

from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "plan": {},
    # optimiser and schedule of the UNet
    "rate1e-3": {"training.learning_rate": 1e-3},
    "rate6e-3": {"training.learning_rate": 6e-3},
    "muon2e-2": {"training.optimiser": "muon", "training.learning_rate": 0.02},
    "muon5e-3": {"training.optimiser": "muon", "training.learning_rate": 0.005},
    "augment0": {"training.augmentation": 0.0},
    "augment0.5": {"training.augmentation": 0.5},
    "mirror": {"training.mirror_axes": [0, 1]},
    "mirror_w": {"training.mirror_axes": [1]},
    "ema0.998": {"training.ema_decay": 0.998},
    "adjacent0": {"adjacent_slices": 0},
    "adjacent2": {"adjacent_slices": 2},
    "channels19": {"channels": 19},
    "batch8": {"training.batch_size": 8},
    "batch16": {"training.batch_size": 16},
    "foreground0.33": {"training.foreground_share": 0.33},
    "foreground0.8": {"training.foreground_share": 0.8},
}
