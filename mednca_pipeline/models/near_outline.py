"""Which cells the level above leaves open, in torch. runtime/outline.py says what an open cell is."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.outline import Outline


def near_open(logits: Tensor, sigmoid: bool, outline: Outline) -> Tensor:
    """logits: (B, K, *grid) -> bool (B, 1, *grid): the cells within `halo` cells of an open one."""
    if sigmoid:
        probabilities = logits.sigmoid()
        sure = (torch.maximum(probabilities, 1 - probabilities) >= 1 - outline.eps).all(dim=1, keepdim=True)
        classes = logits > 0
    else:
        sure = logits.softmax(dim=1).amax(dim=1, keepdim=True) >= 1 - outline.eps
        classes = logits.argmax(dim=1, keepdim=True)
    is_open = ~sure
    for axis in range(2, logits.ndim):
        differs = (classes.diff(dim=axis) != 0).any(dim=1, keepdim=True)
        last = logits.shape[axis] - 1
        is_open.narrow(axis, 0, last).logical_or_(differs)
        is_open.narrow(axis, 1, last).logical_or_(differs)
    pool = {2: F.max_pool2d, 3: F.max_pool3d}[logits.ndim - 2]
    return pool(is_open.float(), 2 * outline.halo + 1, stride=1, padding=outline.halo) > 0
