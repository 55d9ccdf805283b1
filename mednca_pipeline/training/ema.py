"""The exponential moving average (EMA) of a network's weights, which is what predicts."""

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, iteration: int) -> None:
    """Moves the average towards the weights. It follows faster in the first iterations."""
    decay = min(decay, (1 + iteration) / (10 + iteration))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
