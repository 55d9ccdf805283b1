"""What training, scoring and prediction ask of a network, whatever it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..plans.model_plans import ModelPlan
from .windows import crop_boxes


@dataclass(frozen=True)
class Output:
    """What a network says of a batch, or of a part of it at some resolution.

    logits: (B, n_outputs, *window). targets: turns what is known of the batch at full resolution, (B, K, *spatial),
    into what these logits should say, (B, K, *window). share: of the loss, relative to the other outputs.
    """

    logits: Tensor
    targets: Callable[[Tensor], Tensor]
    share: float = 1.0


class SegmentationNetwork(Protocol):
    """A torch.nn.Module made as `Network(plan, dim, n_image_channels, n_outputs, sigmoid)`.

    sigmoid: outputs are regions; else they are classes. factor: sides of what it predicts are multiples of this.
    """

    plan: ModelPlan
    sigmoid: bool
    factor: tuple[int, ...]

    def __call__(
        self, image: Tensor, origin: Tensor, generator: torch.Generator
    ) -> tuple[Sequence[Output], Tensor | float]:
        """A training pass: what is supervised, and the largest magnitude of the hidden state, 0 where there is none.

        image: (B, n_image, *spatial). origin: int (B, dim), of each sample's window (ModelPlan.window).
        """

    def scored(self, image: Tensor, origin: Tensor) -> Output:
        """What the training curve is measured on."""

    def predict_logits(self, image: Tensor) -> Tensor:
        """(B, n_image, *spatial), sides multiples of `factor` -> logits (B, n_outputs, *spatial)."""

    def parameters(self) -> Any: ...


def window_output(logits: Tensor, origin: Tensor, size: Sequence[int], share: float = 1.0) -> Output:
    """Of logits of the windows of `size` that begin at `origin`."""
    return Output(logits, lambda known: crop_boxes(known, origin, size), share)
