"""Dice on a few fixed validation samples: the curve of a training, not its result."""

import torch
from torch import Tensor

from ..models.mednca import MedNCA
from ..models.prediction import predict_logits
from ..models.windows import crop_boxes
from ..runtime.labels import Labels
from .batches import Batch
from .losses import encode_targets
from .state import TrainingState


def score_samples(state: TrainingState, batch: Batch, labels: Labels) -> dict[str, float]:
    """Dice per foreground output of the EMA weights, pooled over the samples; NaN where an output is absent.

    An automaton predicts the whole samples as mednca_predict does, a UNet the patches that training would have seen.
    """
    model = state.ema.eval()
    device = next(model.parameters()).device
    image = torch.from_numpy(batch.image).to(device)
    targets, weights = encode_targets(torch.from_numpy(batch.labels).to(device), labels)
    with torch.inference_mode():
        if isinstance(model, MedNCA):
            logits = predict_logits(model, image, model.plan.outline)
        else:
            origin = torch.from_numpy(batch.origin)
            logits = model.predict_logits(crop_boxes(image, origin, model.plan.patch))
            targets = crop_boxes(targets, origin, model.plan.patch)
            weights = None if weights is None else crop_boxes(weights, origin, model.plan.patch)
    return dict(zip(labels.names, _pooled_dice(logits, targets, weights, model.sigmoid), strict=True))


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
