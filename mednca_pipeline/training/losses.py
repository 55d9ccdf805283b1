"""Dice + cross-entropy at every level, with soft targets at the coarse ones."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.labels import Labels

DICE_SMOOTHING = 1e-5
Loss = Callable[..., Tensor]  # (logits, targets, weights, sigmoid=...) -> scalar, as dice_and_cross_entropy


def encode_targets(labels: Tensor, definition: Labels) -> tuple[Tensor, Tensor | None]:
    """labels: int (B, *spatial) -> targets float (B, n_outputs, *spatial) and, with an ignore label, weights
    (B, 1, *spatial) that are 0 where the loss must not look."""
    background = () if definition.has_regions else ((0,),)
    covered = [torch.isin(labels, labels.new_tensor(values)) for values in (*background, *definition.values)]
    targets = torch.stack(covered, dim=1).float()
    if definition.ignore is None:
        return targets, None
    return targets, (labels != definition.ignore).unsqueeze(1).float()


def dice_and_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None, sigmoid: bool) -> Tensor:
    """logits and targets: (B, K, *spatial), targets in 0..1; weights: (B, 1, *spatial) or None. Returns a scalar.

    Soft Dice is taken over the whole batch per output, without the background of a softmax. An output that the batch
    shows nowhere is left to the cross-entropy: its Dice would be 0 whatever the answer, and drown the others.
    """
    logits = logits.float()
    if sigmoid:
        probabilities = logits.sigmoid()
        entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1, keepdim=True)
    else:
        log_probabilities = logits.log_softmax(dim=1)
        probabilities = log_probabilities.exp()
        entropy = -(targets * log_probabilities).sum(dim=1, keepdim=True)
    if weights is None:
        cross_entropy = entropy.mean()
    else:
        cross_entropy = (entropy * weights).sum() / weights.sum().clamp_min(1.0)
        probabilities, targets = probabilities * weights, targets * weights
    if not sigmoid:
        probabilities, targets = probabilities[:, 1:], targets[:, 1:]
    axes = [0, *range(2, logits.ndim)]
    overlap = (probabilities * targets).sum(axes)
    total = probabilities.sum(axes) + targets.sum(axes)
    dice = (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)
    shown = (targets.sum(axes) > 0).float()
    return cross_entropy + ((1 - dice) * shown).sum() / shown.sum().clamp_min(1.0)
