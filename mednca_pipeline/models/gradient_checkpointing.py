"""The backward pass of a level's steps, for any kernel that computes them, with gradient checkpointing.

The backward pass needs what each step perceived. Usually all of that is kept. Where memory is short, only every k-th
state is kept and the rest is computed again (Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016).
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")  # a state in the kernel's own layout
Perceived = TypeVar("Perceived")  # what a step computes from a state, up to the hidden units
PerceivedIn = TypeVar("PerceivedIn", contravariant=True)


class Gradients(Protocol[PerceivedIn]):
    """The gradients on their way back through the steps, from the last step to the first."""

    def step_back(self, perceived: PerceivedIn, step: int) -> None:
        """Goes from the gradient after a step to the gradient before it, and adds to the gradients of the weights."""

    def result(self) -> tuple[Tensor | None, ...]:
        """The gradients of the first state and of each of the kernel's weights; None for a weight without one."""


class Kernel(Protocol[State, Perceived]):
    """A level's steps in one form. `begin` brings a state into the kernel's own layout, and `end` brings it back."""

    def begin(self, state: Tensor) -> State: ...

    def end(self, state: State) -> Tensor: ...

    def perceived(self, state: State, step: int) -> Perceived: ...

    def updated(self, state: State, perceived: Perceived, step: int) -> State:
        """The state after the step. It may overwrite the state before."""

    def kept(self, perceived: Perceived) -> Perceived:
        """`perceived` in a form that lasts until the backward pass."""

    def copied(self, state: State) -> State:
        """A state that later steps do not overwrite."""

    def gradients(self, grad: Tensor) -> Gradients[Perceived]: ...


class CheckpointedSteps(torch.autograd.Function):
    """apply(kernel_of, steps, keep_every, state, *weights): the state after `steps` steps of kernel_of(*weights).

    keep_every: keeps every so many states for the backward pass; 0 keeps what each step perceived.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kernel_of: Callable[..., Kernel[Any, Any]],
        steps: int,
        keep_every: int,
        state: Tensor,
        *weights: Tensor | None,
    ) -> Tensor:
        kernel = kernel_of(*weights)
        ctx.kernel, ctx.steps, ctx.keep_every, ctx.states, ctx.perceived = kernel, steps, keep_every, [], []
        now = kernel.begin(state)
        for step in range(steps):
            if keep_every and step % keep_every == 0:
                ctx.states.append(kernel.copied(now))
            perceived = kernel.perceived(now, step)
            if not keep_every:
                ctx.perceived.append(kernel.kept(perceived))
            now = kernel.updated(now, perceived, step)
        return kernel.end(now)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if getattr(ctx, "spent", False):
            raise RuntimeError(
                "Trying to backward through a level's steps a second time: the first backward pass freed what it "
                "needed, even with retain_graph=True. Run the steps again."
            )
        ctx.spent = True
        gradients = ctx.kernel.gradients(grad)
        for step in reversed(range(ctx.steps)):
            if not ctx.perceived:
                since = step // ctx.keep_every * ctx.keep_every
                ctx.perceived = _again(ctx.kernel, ctx.states.pop(), range(since, step + 1))
            gradients.step_back(ctx.perceived.pop(), step)
        return None, None, None, *gradients.result()


def _again(kernel: Kernel[State, Perceived], state: State, steps: range) -> list[Perceived]:
    """What was perceived in `steps`, computed again from the state before the first of them."""
    found: list[Perceived] = []
    for step in steps:
        if found:
            state = kernel.updated(state, found[-1], step - 1)
        found.append(kernel.kept(kernel.perceived(state, step)))
    return found
