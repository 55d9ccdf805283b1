"""The steps of a level on a CPU or GPU, with the backward pass written out.

The same result and gradients as the plain definition (nca.run_steps):

- the identity, the filter banks and the layer that mixes them are linear: they are folded into one convolution;
- the image channels never change, so their part of the convolution is computed once for all steps of a level;
- the backward pass calls torch's kernels directly, without a graph of views, copies and zero rows
  (gradient_checkpointing.py says what it needs of each step).

Under autocast the hidden units are computed in its type; the state and the sums of gradients stay as they are.
"""

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .gradient_checkpointing import CheckpointedSteps
from .nca import CHANNELS_LAST, FUNCTIONAL_CONVOLUTIONS, Cell

EPSILON = 1e-5
LANES = 8  # kernels are made for channels in multiples of this: with 16 they are faster than with 15
aten = torch.ops.aten
PAD_BACKWARD = {
    ("replicate", 2): aten.replication_pad2d_backward.default,
    ("replicate", 3): aten.replication_pad3d_backward.default,
    ("reflect", 2): aten.reflection_pad2d_backward.default,
    ("reflect", 3): aten.reflection_pad3d_backward.default,
}


def fits(cell: Cell) -> bool:
    """Whether `run_dense` computes this cell's steps. Of an RMS norm torch has no kernel of its own."""
    return isinstance(cell.norm, torch.nn.LayerNorm | torch.nn.Identity)


def autocast_dtype(state: Tensor) -> torch.dtype | None:
    """The type that autocast gives to products on the state's device; None without autocast."""
    device = state.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


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


def prepared(cell: Cell, state: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """The state (B, C, *spatial) and its weights: matrix (H, C, 3, ...), bias (H) and update (C - fixed, H).

    Where a single free channel is missing to a multiple of 8, C has one more, which stays zero.
    """
    matrix, bias = folded(cell)
    update = cell.update.weight if cell.banks is None else cell.update.weight[cell.fixed :]
    if update.shape[0] % LANES == LANES - 1:
        at_end = (*(0, 0) * cell.dim, 0, 1)
        state, matrix, update = F.pad(state, at_end), F.pad(matrix, at_end), F.pad(update, (0, 0, 0, 1))
    return state, matrix, bias, update


def run_dense(cell: Cell, state: Tensor, fired: Tensor | None, steps: int, keep_every: int = 0) -> Tensor:
    """As nca.run_steps; no gradient reaches the image channels of `state` (B, C, *spatial).

    keep_every: for the backward pass, keep every so many states and nothing else; 0: whatever it needs, of each step.
    """
    n_free = state.shape[1] - cell.fixed
    state, matrix, bias, update = prepared(cell, state)
    image = state[:, : cell.fixed].detach().contiguous(memory_format=CHANNELS_LAST[cell.dim])
    free = state[:, cell.fixed :].movedim(1, -1).contiguous()
    gain, shift = (None, None) if isinstance(cell.norm, torch.nn.Identity) else (cell.norm.weight, cell.norm.bias)
    weights = (matrix, bias, gain, shift, update)
    dtype = autocast_dtype(state) or state.dtype
    with torch.autocast(state.device.type, enabled=False):
        if torch.is_grad_enabled():
            kernel_of = partial(_Level, fired=fired, border=cell.border, dtype=dtype)
            free = CheckpointedSteps.apply(kernel_of, steps, keep_every, free, image, *weights)
        else:
            level = _Level(image, *weights, fired, cell.border, dtype)
            for step in range(steps):
                free = level.updated(free, level.perceived(free, step), step)
    return torch.cat([image, free[..., :n_free].movedim(-1, 1)], dim=1)


def activate(hidden: Tensor, gain: Tensor | None, shift: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """hidden: (..., H) -> after layer norm, if any, and ReLU; and what `activate_backward` needs besides."""
    if gain is None:
        return hidden.relu_(), ()
    normed, mean, deviation = torch.native_layer_norm(hidden, gain.shape, gain, shift, EPSILON)
    return normed.relu_(), (hidden, mean, deviation)


def activate_backward(
    grad: Tensor, active: Tensor, kept: tuple[Tensor, ...], gain: Tensor | None, shift: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Gradients with respect to the hidden units, gain and shift. `grad` is overwritten."""
    aten.threshold_backward.grad_input(grad, active, 0, grad_input=grad)
    if gain is None:
        return grad, None, None
    hidden, *statistics = kept
    wanted = [True, True, True]
    return aten.native_layer_norm_backward.default(grad, hidden, gain.shape, *statistics, gain, shift, wanted)


class _Level:
    """The steps of a level as a gradient_checkpointing.Kernel, of states (B, *spatial, F) of the F free channels.

    image: (B, fixed, *spatial), channels last in memory. dtype: of the products and hidden units. The padded image's
    part of the convolution is computed here.
    """

    def __init__(self, image, matrix, bias, gain, shift, update, fired, border, dtype) -> None:
        image, matrix, bias, gain, shift, update = (
            given if given is None else given.to(dtype) for given in (image, matrix, bias, gain, shift, update)
        )
        self.dim, self.fixed, self.has_bias = image.ndim - 2, image.shape[1], bias is not None
        self.gain, self.shift, self.update, self.border, self.dtype = gain, shift, update, border, dtype
        self.fired = None if fired is None else fired.movedim(2, -1).unbind()  # of each step (B, *spatial, 1)
        self.padding = [1] * self.dim if border == "zeros" else [0] * self.dim
        self.of_image = matrix[:, : self.fixed].contiguous(memory_format=CHANNELS_LAST[self.dim])
        self.of_state = matrix[:, self.fixed :].contiguous(memory_format=CHANNELS_LAST[self.dim])
        self.image = self.padded(image)
        self.from_image = self.convolve(self.image, self.of_image, bias)

    def padded(self, channels_first: Tensor) -> Tensor:
        if self.border == "zeros":
            return channels_first
        return F.pad(channels_first, (1, 1) * self.dim, mode=self.border)

    def convolve(self, seen: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
        return FUNCTIONAL_CONVOLUTIONS[self.dim](seen, matrix, bias, padding=self.padding)

    def convolve_backward(self, grad: Tensor, seen: Tensor, matrix: Tensor, to_seen: bool):
        """Gradients with respect to `seen` (None unless `to_seen`) and `matrix`."""
        ones, zeros = [1] * self.dim, [0] * self.dim
        wanted = [to_seen, True, False]
        return aten.convolution_backward.default(
            grad, seen, matrix, None, ones, self.padding, ones, False, zeros, 1, wanted
        )[:2]

    def padded_backward(self, grad: Tensor, state: Tensor) -> Tensor:
        """grad: of what `padded` gives for `state`."""
        if self.border == "zeros":
            return grad.movedim(1, -1)
        return PAD_BACKWARD[self.border, self.dim](grad, state.movedim(-1, 1), (1, 1) * self.dim).movedim(1, -1)

    def begin(self, state: Tensor) -> Tensor:
        return state

    def end(self, state: Tensor) -> Tensor:
        return state

    def perceived(self, state: Tensor, step: int) -> "_Perceived":
        seen = self.padded(state.to(self.dtype).movedim(-1, 1))
        hidden = self.convolve(seen, self.of_state).add_(self.from_image).movedim(1, -1)
        return _Perceived(seen, *activate(hidden, self.gain, self.shift))

    def updated(self, state: Tensor, perceived: "_Perceived", step: int) -> Tensor:
        update = F.linear(perceived.active, self.update).to(state.dtype)
        return state + update if self.fired is None else torch.addcmul(state, update, self.fired[step])

    def kept(self, perceived: "_Perceived") -> "_Perceived":
        return perceived

    def copied(self, state: Tensor) -> Tensor:
        return state  # no step overwrites it

    def gradients(self, grad: Tensor) -> "_Gradients":
        return _Gradients(self, grad.contiguous())


class _Perceived(NamedTuple):
    """What a step computes from a state and its backward pass needs."""

    seen: Tensor  # the padded state, channels first
    active: Tensor  # hidden units (B, *spatial, H) after norm and ReLU
    of_norm: tuple[Tensor, ...]  # before the norm, and its statistics


class _Gradients:
    """The gradient of the state after a step, and those of the level's weights, summed in its type."""

    def __init__(self, level: _Level, grad: Tensor) -> None:
        self.level, self.grad, dtype = level, grad, grad.dtype
        summed = (level.of_state, level.update, level.from_image, level.gain, level.shift)
        self.of_state, self.update, self.from_image, self.gain, self.shift = (
            one if one is None else torch.zeros_like(one, dtype=dtype) for one in summed
        )

    def step_back(self, perceived: _Perceived, step: int) -> None:
        level, grad, (seen, active, of_norm) = self.level, self.grad, perceived
        del perceived  # each map goes as soon as it has served
        of_update = grad if level.fired is None else grad * level.fired[step]
        of_update = of_update.flatten(0, -2).to(level.dtype)
        self.update += of_update.t() @ active.flatten(0, -2)
        to_active = (of_update @ level.update).view(active.shape)
        hidden, to_gain, to_shift = activate_backward(to_active, active, of_norm, level.gain, level.shift)
        del to_active, active, of_norm
        if self.gain is not None:
            self.gain += to_gain
            self.shift += to_shift
        hidden = hidden.movedim(-1, 1)
        self.from_image += hidden
        to_seen, to_matrix = level.convolve_backward(hidden, seen, level.of_state, True)
        self.of_state += to_matrix
        self.grad = level.padded_backward(to_seen.to(grad.dtype), grad).add_(grad)

    def result(self) -> tuple[Tensor | None, ...]:
        """Of state, image (none), matrix, bias, gain, shift and update."""
        level, from_image = self.level, self.from_image.to(self.level.dtype)
        _, of_image = level.convolve_backward(from_image, level.image, level.of_image, False)
        bias = self.from_image.sum((0, *range(2, self.from_image.ndim))) if level.has_bias else None
        matrix = torch.cat([of_image.to(self.of_state.dtype), self.of_state], dim=1)
        return self.grad, None, matrix, bias, self.gain, self.shift, self.update
