"""One iteration: forward, loss at every level, backward, update."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..models.mednca import MedNCA
from ..models.windows import crop_boxes
from ..plans.plans import TrainingPlan
from ..runtime.labels import Labels
from .batches import Batch
from .losses import dice_and_cross_entropy, encode_targets
from .schedule import cosine
from .state import TrainingState

if TYPE_CHECKING:
    from ..models.unet import UNet


def train_step(
    state: TrainingState, batch: Batch, plan: TrainingPlan, labels: Labels, generator: torch.Generator
) -> tuple[float, float]:
    """Runs one iteration, updates weights and EMA, and returns the loss and the hidden state's magnitude.

    A non-finite loss or gradient leaves the weights as they were; the loss returned is then not finite.
    """
    rate = plan.learning_rate * state.guard.rate_scale * cosine(state.iteration, state.iterations)
    set_learning_rate(state.optimisers, rate / plan.learning_rate)
    device = next(state.model.parameters()).device
    image = torch.from_numpy(batch.image).to(device)
    targets, weights = encode_targets(torch.from_numpy(batch.labels).to(device), labels)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        if isinstance(state.model, MedNCA):
            loss, magnitude = nca_loss(
                state.model, image, torch.from_numpy(batch.origin), targets, weights, generator, plan.coarser_share
            )
        else:
            loss, magnitude = unet_loss(state.model, image, torch.from_numpy(batch.origin), targets, weights), 0.0
    if not torch.isfinite(loss):
        return loss.item(), float(magnitude)
    state.model.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), plan.gradient_clip)
    if not torch.isfinite(norm):
        return math.nan, float(magnitude)
    for optimiser in state.optimisers:
        optimiser.step()
    state.update_ema(plan.ema_decay)
    return loss.item(), float(magnitude)


def set_learning_rate(optimisers: Sequence[torch.optim.Optimizer], share: float) -> None:
    """Sets every group to `share` of the rate that it was built with."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("base_lr", group["lr"]) * share


def nca_loss(
    model: MedNCA,
    image: Tensor,
    origin: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    generator: torch.Generator,
    coarser_share: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Mean of the levels' losses, each coarser level's counting `coarser_share` of the next finer one's."""
    outputs, magnitude = model(image, origin, generator)
    shares = [coarser_share ** (len(outputs) - 1 - index) for index in range(len(outputs))]
    losses = [
        dice_and_cross_entropy(
            output.logits,
            output.targets(targets),
            None if weights is None else output.targets(weights),
            sigmoid=model.sigmoid,
        )
        for output in outputs
    ]
    return sum(share * loss for share, loss in zip(shares, losses, strict=True)) / sum(shares), magnitude


def unet_loss(model: "UNet", image: Tensor, origin: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of the heads' losses, each coarser head counting half as much as the next finer."""
    image, targets = crop_boxes(image, origin, model.plan.patch), crop_boxes(targets, origin, model.plan.patch)
    weights = None if weights is None else crop_boxes(weights, origin, model.plan.patch)
    heads = model(image)
    shares = [0.5**index for index in range(len(heads))]
    losses = [dice_and_cross_entropy(head, targets, weights, sigmoid=model.sigmoid) for head in heads]
    return sum(share * loss for share, loss in zip(shares, losses, strict=True)) / sum(shares)
