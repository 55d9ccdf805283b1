"""What training, scoring and prediction ask of every network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..plans.model_plans import ModelPlan
from .windows import crop_boxes


@dataclass(frozen=True)
class Output:
    """What a network says of a batch, or of a part of the batch at some resolution.

    logits: (B, n_outputs, *window). targets: turns what is known of the batch at full resolution, (B, K, *spatial),
    into what these logits should say, (B, K, *window). share: weight in the loss, relative to the other outputs.
    """

    logits: Tensor
    targets: Callable[[Tensor], Tensor]
    share: float = 1.0


class SegmentationNetwork(Protocol):
    """A torch.nn.Module made as `Network(plan, dim, n_image_channels, n_outputs, sigmoid)`.

    sigmoid: True if the outputs are regions, False if they are classes. factor: the sides of images to predict must be
    multiples of it.
    """

    plan: ModelPlan
    sigmoid: bool
    factor: tuple[int, ...]

    def __call__(
        self, image: Tensor, origin: Tensor, generator: torch.Generator
    ) -> tuple[Sequence[Output], Tensor | float]:
        """A training pass: the outputs that get a loss, and the largest magnitude of the hidden state, if any, else 0.

        image: (B, n_image, *spatial). origin: int (B, dim), where each sample's window begins (ModelPlan.window).
        """

    def scored(self, image: Tensor, origin: Tensor) -> Output:
        """The output that the training curve is measured on."""

    def predict_logits(self, image: Tensor) -> Tensor:
        """(B, n_image, *spatial), whose sides are multiples of `factor` -> logits (B, n_outputs, *spatial)."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


def window_output(logits: Tensor, origin: Tensor, size: Sequence[int], share: float = 1.0) -> Output:
    """The output whose logits are those of windows of `size` that begin at `origin`."""
    return Output(logits, lambda known: crop_boxes(known, origin, size), share)
