"""The steps of a level on a CPU, with the backward pass written out.

The same result and gradients as the plain definition (nca.run_steps):

- the identity, the filter banks and the layer that mixes them are linear: they are folded into one convolution;
- the image channels never change, so their part of the convolution is computed once for all steps of a level;
- the backward pass calls torch's kernels directly, without a graph of views, copies and zero rows;
- only the states, the hidden units before and after the norm, and the masks are kept for it.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .nca import CHANNELS_LAST, FUNCTIONAL_CONVOLUTIONS, Cell

EPSILON = 1e-5
aten = torch.ops.aten
PAD_BACKWARD = {
    ("replicate", 2): aten.replication_pad2d_backward,
    ("replicate", 3): aten.replication_pad3d_backward,
    ("reflect", 2): aten.reflection_pad2d_backward,
    ("reflect", 3): aten.reflection_pad3d_backward,
}


def fits(cell: Cell) -> bool:
    """Whether `run_dense` computes this cell's steps. Of an RMS norm torch has no kernel for the CPU."""
    return isinstance(cell.norm, torch.nn.LayerNorm | torch.nn.Identity)


def folded(cell: Cell) -> tuple[Tensor, Tensor | None]:
    """The perception up to the hidden units as one convolution: its matrix (H, C, 3, ...) and bias (H)."""
    if cell.banks is None:
        return cell.hidden.weight, cell.hidden.bias
    identity, *mixes = cell.hidden.weight.flatten(1).chunk(3, dim=1)  # each (H, C)
    shape = (-1, *cell.banks[0].weight.shape[1:])
    matrix = F.pad(identity[(..., *(None,) * cell.dim)], (1, 1) * cell.dim)
    bias = cell.hidden.bias
    for mix, bank in zip(mixes, cell.banks, strict=True):
        matrix = matrix + (mix @ bank.weight.flatten(1)).view(shape)
        bias = bias + mix @ bank.bias
    return matrix, bias


def run_dense(cell: Cell, state: Tensor, fired: Tensor | None, steps: int) -> Tensor:
    """As nca.run_steps; no gradient reaches the image channels of `state` (B, C, *spatial)."""
    memory_format = CHANNELS_LAST[cell.dim]
    image = state[:, : cell.fixed].detach().contiguous(memory_format=memory_format)
    free = state[:, cell.fixed :].contiguous(memory_format=memory_format)
    masks = None if fired is None else fired.to(state.dtype)
    matrix, bias = folded(cell)
    gain, shift = (None, None) if isinstance(cell.norm, torch.nn.Identity) else (cell.norm.weight, cell.norm.bias)
    update = cell.update.weight if cell.banks is None else cell.update.weight[cell.fixed :]
    weights = (matrix, bias, gain, shift, update)
    if torch.is_grad_enabled():
        free = _Steps.apply(free, image, *weights, masks, steps, cell.border)
    else:
        free = _forward(free, _Level(image, *weights, masks, cell.border), steps, None)
    return torch.cat([image, free], dim=1)


class _Level:
    """What the steps of a level share. The padded image's part of the convolution is computed here."""

    def __init__(self, image, matrix, bias, gain, shift, update, masks, border) -> None:
        self.dim, self.fixed, self.hidden = image.ndim - 2, image.shape[1], matrix.shape[0]
        self.gain, self.shift, self.update, self.masks, self.border = gain, shift, update, masks, border
        self.padding = [1] * self.dim if border == "zeros" else [0] * self.dim
        self.of_image = matrix[:, : self.fixed].contiguous(memory_format=CHANNELS_LAST[self.dim])
        self.of_state = matrix[:, self.fixed :].contiguous(memory_format=CHANNELS_LAST[self.dim])
        self.image = self.padded(image)
        self.from_image = self.convolve(self.image, self.of_image, bias)

    def padded(self, state: Tensor) -> Tensor:
        return state if self.border == "zeros" else F.pad(state, (1, 1) * self.dim, mode=self.border)

    def convolve(self, seen: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
        return FUNCTIONAL_CONVOLUTIONS[self.dim](seen, matrix, bias, padding=self.padding)

    def convolve_backward(self, grad: Tensor, seen: Tensor, matrix: Tensor, to_seen: bool):
        """Gradients with respect to `seen` (None unless `to_seen`) and `matrix`."""
        ones, zeros = [1] * self.dim, [0] * self.dim
        wanted = [to_seen, True, False]
        return aten.convolution_backward(grad, seen, matrix, None, ones, self.padding, ones, False, zeros, 1, wanted)[
            :2
        ]

    def padded_backward(self, grad: Tensor, state: Tensor) -> Tensor:
        if self.border == "zeros":
            return grad
        return PAD_BACKWARD[self.border, self.dim](grad, state, (1, 1) * self.dim)

    def activate(self, hidden: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """hidden: (..., H) -> after norm and ReLU; and what `activate_backward` needs besides."""
        if self.gain is None:
            return hidden.relu_(), ()
        normed, mean, deviation = aten.native_layer_norm(hidden, [self.hidden], self.gain, self.shift, EPSILON)
        return normed.relu_(), (hidden, mean, deviation)

    def activate_backward(self, grad: Tensor, active: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the hidden units, gain and shift."""
        grad = aten.threshold_backward(grad, active, 0)
        if self.gain is None:
            return grad, None, None
        hidden, *statistics = kept
        wanted = [True, True, True]
        return aten.native_layer_norm_backward(grad, hidden, [self.hidden], *statistics, self.gain, self.shift, wanted)


@dataclass
class _Kept:
    """Per step, what the backward pass needs."""

    seen: list[Tensor] = field(default_factory=list)  # padded states
    active: list[Tensor] = field(default_factory=list)  # (B, *spatial, H), after the ReLU
    of_norm: list[tuple[Tensor, ...]] = field(default_factory=list)


def _forward(state: Tensor, level: _Level, steps: int, kept: _Kept | None) -> Tensor:
    transposed = level.update.t()
    for step in range(steps):
        seen = level.padded(state)
        hidden = level.convolve(seen, level.of_state).add_(level.from_image).movedim(1, -1)
        active, of_norm = level.activate(hidden)
        update = (active.reshape(-1, level.hidden) @ transposed).view(*active.shape[:-1], -1).movedim(-1, 1)
        state = state + update if level.masks is None else torch.addcmul(state, update, level.masks[step])
        if kept is not None:
            kept.seen.append(seen)
            kept.active.append(active)
            kept.of_norm.append(of_norm)
    return state


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, state, image, matrix, bias, gain, shift, update, masks, steps, border):
        ctx.level = _Level(image, matrix, bias, gain, shift, update, masks, border)
        ctx.kept, ctx.steps, ctx.has_bias = _Kept(), steps, bias is not None
        return _forward(state, ctx.level, steps, ctx.kept)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        level, kept = ctx.level, ctx.kept
        matrix, update = torch.zeros_like(level.of_state), torch.zeros_like(level.update)  # gradients of weights
        gain, shift = (None, None) if level.gain is None else (torch.zeros_like(level.gain) for _ in range(2))
        from_image = torch.zeros_like(level.from_image)
        for step in reversed(range(ctx.steps)):
            active = kept.active.pop()
            of_update = grad if level.masks is None else grad * level.masks[step]
            of_update = of_update.movedim(1, -1).reshape(-1, grad.shape[1])
            update.addmm_(of_update.t(), active.reshape(-1, level.hidden))
            hidden, to_gain, to_shift = level.activate_backward(
                (of_update @ level.update).view(active.shape), active, kept.of_norm.pop()
            )
            if gain is not None:
                gain += to_gain
                shift += to_shift
            hidden = hidden.movedim(-1, 1)
            from_image += hidden
            to_seen, to_matrix = level.convolve_backward(hidden, kept.seen.pop(), level.of_state, True)
            matrix += to_matrix
            grad = grad + level.padded_backward(to_seen, grad)
        _, of_image = level.convolve_backward(from_image, level.image, level.of_image, False)
        bias = from_image.sum((0, *range(2, from_image.ndim))) if ctx.has_bias else None
        return grad, None, torch.cat([of_image, matrix], dim=1), bias, gain, shift, update, None, None, None
