"""What a method developer may replace in a training, as callables."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ..models.registry import build_model
from ..plans.model_plans import TrainingPlan
from ..plans.plans import Plans
from .batches import Transforms, planned_transforms
from .losses import Loss, dice_and_cross_entropy
from .muon import build_optimisers


@dataclass(frozen=True)
class Method:
    """Passed to `train_fold`; what is left out is the pipeline's own.

    network: (model, plans, configuration) -> an untrained network, as models.protocol.SegmentationNetwork describes it.
    transforms: BatchRecipe -> batchgenerators' transforms of a sample, or None; a function of a module, so that
    processes can augment. optimisers: (network, TrainingPlan) -> whose learning rates follow the schedule. loss:
    as losses.dice_and_cross_entropy.
    """

    network: Callable[[str, Plans, str | None], nn.Module] = build_model
    transforms: Transforms = planned_transforms
    optimisers: Callable[[nn.Module, TrainingPlan], list[torch.optim.Optimizer]] = build_optimisers
    loss: Loss = dice_and_cross_entropy


DEFAULT = Method()
