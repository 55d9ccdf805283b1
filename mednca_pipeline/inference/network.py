"""What the predictor asks of a fold's network, whatever computes it, and which one computes."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from ..models.registry import MODELS, model_named, resolved
from ..plans.model_plans import ModelPlan, NCAPlan
from ..plans.plans import ConfigPlan, Plans
from ..runtime.errors import InputError
from ..runtime.network_input import InputFormat
from ..runtime.quality import Deviation
from ..runtime.weights import FoldWeights

ONNX = "onnx"  # the device that is the CPU in ONNX Runtime


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

    device: "auto" is the CPU for a model with a light form: it needs no torch there. "onnx" is the CPU in ONNX Runtime,
    which computes UNets where torch is not installed. everywhere: an NCA computes every cell.
    """
    entry, on_cpu = model_named(model), device in ("auto", "cpu")
    if entry.light and on_cpu and not everywhere:
        return resolved(entry.light).from_weights(weights, plans, model, config)
    if device == ONNX and not entry.onnx:
        names = ", ".join(name for name, other in MODELS.items() if other.onnx)
        raise InputError("--device onnx", f"a model that it computes ({names})", model, "Leave --device out.")
    if entry.onnx and (device == ONNX or (on_cpu and find_spec("torch") is None)):
        return resolved(entry.onnx).from_weights(weights, plans, model, config)
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
