"""What the predictor asks of a fold's network, whatever computes it, and which one computes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..models.registry import model_named, resolved
from ..plans.model_plans import ModelPlan, NCAPlan
from ..plans.plans import ConfigPlan, Plans
from ..runtime.network_input import InputFormat
from ..runtime.quality import Deviation
from ..runtime.weights import FoldWeights


@dataclass(frozen=True)
class Asked:
    """How an NCA predicts; a UNet has one way.

    runs: random runs per fold; 0 is the expected update. quality: also measure how far random runs deviate from the
    expected update: one run where `runs` is 0. seed: of the runs.
    """

    runs: int = 0
    quality: bool = True
    seed: int = 0


class Network(Protocol):
    """One fold. device: what it computes on. random: whether its random runs differ, which a quality score needs.
    format: of its images.
    """

    device: str
    random: bool
    format: InputFormat

    def see(self, image: np.ndarray) -> Iterator[Any]:
        """What networks of one plan see of an image (C, S, H, W), preprocessed, in one or more parts along S."""

    def probabilities(self, seen: Any, asked: Asked, deviation: Deviation) -> Iterator[np.ndarray]:
        """float32 (K, slices of the part, H, W) for each run, or once. Adds the part's deviation where asked for."""


def load_network(
    weights: FoldWeights, plans: Plans, model: str, config: str, device: str, everywhere: bool = False
) -> Network:
    """A fold's final weights as a network. Raises InputError when they do not fit the plans.

    device: "auto" is the CPU for a model with a light form: it needs no torch there. everywhere: an NCA computes every
    cell.
    """
    entry = model_named(model)
    if entry.light and device in ("auto", "cpu") and not everywhere:
        return resolved(entry.light).from_weights(weights, plans, model, config)
    return resolved(entry.predictor).from_weights(weights, plans, model, config, device, everywhere)


def input_format(config: ConfigPlan, plan: ModelPlan, factor: tuple[int, ...]) -> InputFormat:
    """factor: that the padded sides are multiples of."""
    return InputFormat(config.dim, config.image_size, factor, plan.adjacent_slices, plan.position)


def quality_levels(plan: NCAPlan) -> int:
    """After how many levels random runs are compared with the expected update.

    The finest level is left out: it adds cost and nothing that the score could use (docs/explanation/outline.md). A
    network whose coarse levels have no loss of their own says nothing before its last.
    """
    return max(1, len(plan.levels) - 1) if plan.outline else len(plan.levels)
