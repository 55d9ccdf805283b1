"""Muon for matrices, Adam for everything else.

Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024. `torch.optim.Muon` takes 2D
parameters only and orthogonalises in bfloat16; convolution filters are flattened to (out, rest) here, in float32.
"""

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from ..plans.model_plans import TrainingPlan

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ADAM_SHARE = 0.1  # learning rate of biases and gains relative to the matrices'


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Pushes the singular values of `matrix` (m, n) towards 1 by Newton-Schulz iterations."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Muon(torch.optim.Optimizer):
    """Momentum with Nesterov's look-ahead, orthogonalised per matrix; the update is scaled by sqrt(max(1, m / n)).

    weight_decay: before each update a matrix loses lr * weight_decay of itself.
    """

    def __init__(self, parameters: ParamsT, lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # a closure is never given
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                look_ahead = parameter.grad.lerp(momentum, group["momentum"])
                matrix = orthogonalise(look_ahead.flatten(1).float())
                parameter.mul_(1 - group["lr"] * group.get("weight_decay", 0.0))  # absent in older checkpoints
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                parameter.add_(matrix.view(parameter.shape).to(parameter.dtype), alpha=-group["lr"] * scale)


def build_optimisers(model: nn.Module, plan: TrainingPlan) -> list[torch.optim.Optimizer]:
    """ "muon": Muon for parameters of two or more dimensions and Adam for the rest; "adam": Adam for all."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if plan.optimiser == "adam":
        return [torch.optim.AdamW(parameters, plan.learning_rate, plan.betas, weight_decay=plan.weight_decay)]
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    rest = [parameter for parameter in parameters if parameter.ndim < 2]
    adam = [torch.optim.Adam(rest, lr=plan.learning_rate * ADAM_SHARE, betas=plan.betas)] if rest else []
    return [Muon(matrices, lr=plan.learning_rate, weight_decay=plan.weight_decay), *adam]
