"""The steps of a level on a CPU, with the backward pass written out.

The same result and gradients as the plain definition (nca.run_steps), for cells with one folded matrix and layer norm:

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
    """Whether `run_dense` computes this cell's steps."""
    return cell.banks is None and isinstance(cell.norm, torch.nn.LayerNorm) and cell.hidden.bias is None


def run_dense(cell: Cell, state: Tensor, fired: Tensor | None, steps: int) -> Tensor:
    """As nca.run_steps; no gradient reaches the image channels of `state` (B, C, *spatial)."""
    memory_format = CHANNELS_LAST[cell.dim]
    image = state[:, : cell.fixed].detach().contiguous(memory_format=memory_format)
    free = state[:, cell.fixed :].contiguous(memory_format=memory_format)
    masks = None if fired is None else fired.to(state.dtype)
    weights = (cell.hidden.weight, cell.norm.weight, cell.norm.bias, cell.update.weight)
    if torch.is_grad_enabled():
        free = _Steps.apply(free, image, *weights, masks, steps, cell.border)
    else:
        free = _forward(free, _Level(image, *weights, masks, cell.border), steps, None)
    return torch.cat([image, free], dim=1)


class _Level:
    """What the steps of a level share. The padded image's part of the convolution is computed here."""

    def __init__(
        self, image: Tensor, matrix: Tensor, gain: Tensor, bias: Tensor, update: Tensor, masks: Tensor | None, border
    ) -> None:
        self.dim, self.fixed, self.hidden = image.ndim - 2, image.shape[1], matrix.shape[0]
        self.gain, self.bias, self.update, self.masks, self.border = gain, bias, update, masks, border
        self.padding = [1] * self.dim if border == "zeros" else [0] * self.dim
        self.of_image = matrix[:, : self.fixed].contiguous(memory_format=CHANNELS_LAST[self.dim])
        self.of_state = matrix[:, self.fixed :].contiguous(memory_format=CHANNELS_LAST[self.dim])
        self.image = self.padded(image)
        self.from_image = self.convolve(self.image, self.of_image)

    def padded(self, state: Tensor) -> Tensor:
        return state if self.border == "zeros" else F.pad(state, (1, 1) * self.dim, mode=self.border)

    def convolve(self, seen: Tensor, matrix: Tensor) -> Tensor:
        return FUNCTIONAL_CONVOLUTIONS[self.dim](seen, matrix, padding=self.padding)

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

    def norm(self, hidden: Tensor):
        """hidden: (..., H) -> normalised, mean and reciprocal deviation of each cell."""
        return aten.native_layer_norm(hidden, [self.hidden], self.gain, self.bias, EPSILON)


@dataclass
class _Kept:
    """Per step, what the backward pass needs."""

    seen: list[Tensor] = field(default_factory=list)  # padded states
    hidden: list[Tensor] = field(default_factory=list)  # (B, *spatial, H), before the norm
    active: list[Tensor] = field(default_factory=list)  # (B, *spatial, H), after the ReLU
    statistics: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def _forward(state: Tensor, level: _Level, steps: int, kept: _Kept | None) -> Tensor:
    transposed = level.update.t()
    for step in range(steps):
        seen = level.padded(state)
        hidden = level.convolve(seen, level.of_state).add_(level.from_image).movedim(1, -1)
        normed, *statistics = level.norm(hidden)
        active = normed.relu_()
        update = (active.reshape(-1, level.hidden) @ transposed).view(*active.shape[:-1], -1).movedim(-1, 1)
        state = state + update if level.masks is None else torch.addcmul(state, update, level.masks[step])
        if kept is not None:
            kept.seen.append(seen)
            kept.hidden.append(hidden)
            kept.active.append(active)
            kept.statistics.append(tuple(statistics))
    return state


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, state, image, matrix, gain, bias, update, masks, steps, border):
        ctx.level = _Level(image, matrix, gain, bias, update, masks, border)
        ctx.kept, ctx.steps = _Kept(), steps
        return _forward(state, ctx.level, steps, ctx.kept)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        level, kept = ctx.level, ctx.kept
        matrix_grad, update_grad = torch.zeros_like(level.of_state), torch.zeros_like(level.update)
        gain_grad, bias_grad = torch.zeros_like(level.gain), torch.zeros_like(level.bias)
        from_image_grad = torch.zeros_like(level.from_image)
        for step in reversed(range(ctx.steps)):
            active, seen = kept.active.pop(), kept.seen.pop()
            update = grad if level.masks is None else grad * level.masks[step]
            update = update.movedim(1, -1).reshape(-1, grad.shape[1])
            flat = active.reshape(-1, level.hidden)
            update_grad.addmm_(update.t(), flat)
            normed = aten.threshold_backward(update @ level.update, flat, 0).view(active.shape)
            hidden, to_gain, to_bias = aten.native_layer_norm_backward(
                normed,
                kept.hidden.pop(),
                [level.hidden],
                *kept.statistics.pop(),
                level.gain,
                level.bias,
                [True, True, True],
            )
            gain_grad += to_gain
            bias_grad += to_bias
            hidden = hidden.movedim(-1, 1)
            from_image_grad += hidden
            to_seen, to_matrix = level.convolve_backward(hidden, seen, level.of_state, True)
            matrix_grad += to_matrix
            grad = grad + level.padded_backward(to_seen, grad)
        _, image_matrix_grad = level.convolve_backward(from_image_grad, level.image, level.of_image, False)
        matrix_grad = torch.cat([image_matrix_grad, matrix_grad], dim=1)
        return grad, None, matrix_grad, gain_grad, bias_grad, update_grad, None, None, None
