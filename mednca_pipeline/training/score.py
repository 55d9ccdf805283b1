"""Dice on a few fixed validation samples: the curve of a training, not its result."""

from typing import cast

import torch
from torch import Tensor

from ..models.protocol import SegmentationNetwork
from ..runtime.labels import Labels
from .batches import Batch
from .losses import encode_targets
from .state import TrainingState


def score_samples(state: TrainingState, batch: Batch, labels: Labels) -> dict[str, float]:
    """Dice per foreground output of the EMA weights, pooled over the samples; NaN where an output is absent."""
    network = cast(SegmentationNetwork, state.ema.eval())
    device = next(network.parameters()).device
    image = torch.from_numpy(batch.image).to(device)
    targets, weights = encode_targets(torch.from_numpy(batch.labels).to(device), labels)
    with torch.inference_mode():
        output = network.scored(image, torch.from_numpy(batch.origin))
        targets = output.targets(targets)
        weights = None if weights is None else output.targets(weights)
    return dict(zip(labels.names, _pooled_dice(output.logits, targets, weights, network.sigmoid), strict=True))


def _pooled_dice(logits: Tensor, targets: Tensor, weights: Tensor | None, sigmoid: bool) -> list[float]:
    if sigmoid:
        predicted = (logits > 0).float()
    else:
        chosen = logits.argmax(dim=1, keepdim=True)
        predicted = torch.zeros_like(logits).scatter_(1, chosen, 1.0)[:, 1:]
        targets = targets[:, 1:]
    if weights is not None:
        predicted, targets = predicted * weights, targets * weights
    axes = [0, *range(2, logits.ndim)]
    return (2 * (predicted * targets).sum(axes) / (predicted.sum(axes) + targets.sum(axes))).tolist()
