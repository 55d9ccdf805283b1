"""Everything that changes in a training."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from ..execution.terminal import duration
from ..plans.model_plans import TrainingPlan
from .guard import Guard
from .muon import build_optimisers

_PLAIN = ("iterations", "iteration", "best_dice", "minutes", "epoch_sums", "rows")  # fields that a snapshot copies


@dataclass
class Spent:
    """Where the time of a process went, in seconds. epoch_ends_s: scores, checkpoints, weights files and figures."""

    timing_s: float = 0.0
    training_s: float = 0.0
    epoch_ends_s: float = 0.0
    validation_s: float = 0.0

    def __str__(self) -> str:
        """ "10 min: timing 18 s, training 9.1 min, epoch ends 36 s; validation 24 s"."""
        parts = {"timing": self.timing_s, "training": self.training_s, "epoch ends": self.epoch_ends_s}
        each = ", ".join(f"{what} {duration(seconds)}" for what, seconds in parts.items() if seconds)
        validation = f"; validation {duration(self.validation_s)}" if self.validation_s else ""
        return f"{duration(sum(parts.values()))}: {each}{validation}"


@dataclass
class TrainingState:
    """Weights, their exponential moving average, optimisers, and where the training stands."""

    model: nn.Module
    ema: nn.Module
    optimisers: list[torch.optim.Optimizer]
    iterations: int
    iteration: int = 0
    best_dice: float = -1.0
    minutes: float = 0.0
    guard: Guard = field(default_factory=Guard)
    epoch_sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    good: dict[str, Any] = field(default_factory=dict)  # snapshot of the last good state, to go back to
    spent: Spent = field(default_factory=Spent)  # by this process

    def mark_good(self) -> None:
        self.good = self.snapshot()

    def snapshot(self) -> dict[str, Any]:
        """A copy of the whole state, made of tensors and plain values only."""
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "ema": self.ema.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "guard": asdict(self.guard),
                **{name: getattr(self, name) for name in _PLAIN},
            }
        )

    def restore(self, snapshot: dict[str, Any]) -> None:
        snapshot = copy.deepcopy(snapshot)
        self.model.load_state_dict(snapshot["model"])
        self.ema.load_state_dict(snapshot["ema"])
        for optimiser, saved in zip(self.optimisers, snapshot["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.guard = Guard(**snapshot["guard"])
        for name in _PLAIN:
            setattr(self, name, snapshot[name])


def new_state(
    model: nn.Module,
    plan: TrainingPlan,
    iterations: int,
    optimisers: Callable[[nn.Module, TrainingPlan], list[torch.optim.Optimizer]] = build_optimisers,
) -> TrainingState:
    ema = copy.deepcopy(model).requires_grad_(False)
    return TrainingState(model, ema, optimisers(model, plan), iterations)
