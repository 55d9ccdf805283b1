"""One iteration: forward, loss of every output, backward, update."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.protocol import Output
from ..plans.model_plans import TrainingPlan
from ..runtime.labels import Labels
from .batches import Batch
from .ema import update_average
from .losses import Loss, dice_and_cross_entropy, encode_targets
from .schedule import cosine
from .state import TrainingState


def train_step(
    state: TrainingState,
    batch: Batch,
    plan: TrainingPlan,
    labels: Labels,
    generator: torch.Generator,
    loss_of: Loss = dice_and_cross_entropy,
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
        outputs, magnitude = state.model(image, torch.from_numpy(batch.origin), generator)
        loss = weighted_loss(outputs, targets, weights, bool(state.model.sigmoid), loss_of)
    if not torch.isfinite(loss):
        return loss.item(), float(magnitude)
    state.model.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), plan.gradient_clip)
    if not torch.isfinite(norm):
        return math.nan, float(magnitude)
    for optimiser in state.optimisers:
        optimiser.step()
    update_average(state.ema, state.model, plan.ema_decay, state.iteration)
    return loss.item(), float(magnitude)


def set_learning_rate(optimisers: Sequence[torch.optim.Optimizer], share: float) -> None:
    """Sets every group to `share` of the rate that it was built with."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("base_lr", group["lr"]) * share


def weighted_loss(
    outputs: Sequence[Output], targets: Tensor, weights: Tensor | None, sigmoid: bool, loss_of: Loss
) -> Tensor:
    """Mean of the outputs' losses, each counting its share. targets, weights: of the batch, at full resolution."""
    losses = [
        loss_of(
            output.logits,
            output.targets(targets),
            None if weights is None else output.targets(weights),
            sigmoid=sigmoid,
        )
        for output in outputs
    ]
    shares = [output.share for output in outputs]
    first, *others = (share * loss for share, loss in zip(shares, losses, strict=True))
    return sum(others, first) / sum(shares)
