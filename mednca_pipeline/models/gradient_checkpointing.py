"""The backward pass of a level's steps, for any kernel that computes them, with gradient checkpointing.

It needs what each step perceived. That is kept, or, where memory is short, only every k-th state: the rest is computed
again (Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016).
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor


class Gradients(Protocol):
    """What comes back through the steps, the last one first."""

    def step_back(self, perceived: Any, step: int) -> None:
        """From the gradient after a step to the one before it; adds to those of the weights."""

    def result(self) -> tuple[Tensor | None, ...]:
        """Of the state that the first step began with, and of each of the kernel's weights; None for none."""


class Kernel(Protocol):
    """A level's steps in one form: of a state in the kernel's own layout, made by `begin` and given back by `end`."""

    def begin(self, state: Tensor) -> Any: ...

    def end(self, state: Any) -> Tensor: ...

    def perceived(self, state: Any, step: int) -> Any:
        """What a step computes from a state, up to the hidden units."""

    def updated(self, state: Any, perceived: Any, step: int) -> Any:
        """The state after the step; the one before may be overwritten."""

    def kept(self, perceived: Any) -> Any:
        """`perceived`, as it must be kept for the backward pass."""

    def copied(self, state: Any) -> Any:
        """A state that later steps do not overwrite."""

    def gradients(self, grad: Tensor) -> Gradients: ...


class CheckpointedSteps(torch.autograd.Function):
    """apply(kernel_of, steps, keep_every, state, *weights): the state after `steps` steps of kernel_of(*weights).

    keep_every: for the backward pass, keep every so many states; 0: keep what each step perceived.
    """

    @staticmethod
    def forward(
        ctx, kernel_of: Callable[..., Kernel], steps: int, keep_every: int, state: Tensor, *weights: Tensor | None
    ) -> Tensor:
        kernel = kernel_of(*weights)
        ctx.kernel, ctx.steps, ctx.keep_every, ctx.states, ctx.perceived = kernel, steps, keep_every, [], []
        state = kernel.begin(state)
        for step in range(steps):
            if keep_every and step % keep_every == 0:
                ctx.states.append(kernel.copied(state))
            perceived = kernel.perceived(state, step)
            if not keep_every:
                ctx.perceived.append(kernel.kept(perceived))
            state = kernel.updated(state, perceived, step)
        return kernel.end(state)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        if getattr(ctx, "spent", False):
            raise RuntimeError(
                "Trying to backward through a level's steps a second time: what the first backward pass needed is "
                "freed, with retain_graph=True as well. Run the steps again."
            )
        ctx.spent = True
        gradients = ctx.kernel.gradients(grad)
        for step in reversed(range(ctx.steps)):
            if not ctx.perceived:
                since = step // ctx.keep_every * ctx.keep_every
                ctx.perceived = _again(ctx.kernel, ctx.states.pop(), range(since, step + 1))
            gradients.step_back(ctx.perceived.pop(), step)
        return None, None, None, *gradients.result()


def _again(kernel: Kernel, state: Any, steps: range) -> list[Any]:
    """What was perceived in `steps`, from the state before the first."""
    found: list[Any] = []
    for step in steps:
        if found:
            state = kernel.updated(state, found[-1], step - 1)
        found.append(kernel.kept(kernel.perceived(state, step)))
    return found
