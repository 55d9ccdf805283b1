"""The steps of a level on a CPU or GPU, with the backward pass written out.

Result and gradients are those of the plain definition (nca.run_steps), computed faster:

- the identity, the filter banks and the layer that mixes them are linear: they are folded into one convolution;
- the image channels never change, so their part of the convolution is computed once for all steps of a level;
- the backward pass calls torch's kernels directly, without a graph of views, copies and zero rows
  (gradient_checkpointing.py says what it needs of each step).

Under autocast the hidden units have autocast's type; the state and the sums of gradients keep theirs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.grid import Border
from .gradient_checkpointing import CheckpointedSteps
from .nca import CHANNELS_LAST, FUNCTIONAL_CONVOLUTIONS, Cell

EPSILON = 1e-5
LANES = 8  # kernels are made for multiples of this many channels: they are faster with 16 channels than with 15
aten = torch.ops.aten
PAD_BACKWARD = {
    ("replicate", 2): aten.replication_pad2d_backward.default,
    ("replicate", 3): aten.replication_pad3d_backward.default,
    ("reflect", 2): aten.reflection_pad2d_backward.default,
    ("reflect", 3): aten.reflection_pad3d_backward.default,
}


class Affine(NamedTuple):
    """Gain and shift (H,) of a layer norm, or their gradients."""

    gain: Tensor
    shift: Tensor


def norm_of(cell: Cell) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Gain and shift of a cell's layer norm."""
    norm = cell.norm
    return (norm.weight, norm.bias) if isinstance(norm, torch.nn.LayerNorm) else (None, None)


def affine(gain: Tensor | None, shift: Tensor | None) -> Affine | None:
    return None if gain is None or shift is None else Affine(gain, shift)


def fits(cell: Cell) -> bool:
    """Whether `run_dense` computes this cell's steps: torch has no kernel of its own for the RMS norm."""
    return isinstance(cell.norm, torch.nn.LayerNorm | torch.nn.Identity)


def autocast_dtype(state: Tensor) -> torch.dtype | None:
    """The type that autocast gives to products on the state's device; None without autocast."""
    device = state.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def folded(cell: Cell) -> tuple[Tensor, Tensor | None]:
    """The perception up to the hidden units as one convolution: its matrix (H, C, 3, ...) and bias (H)."""
    bias = cell.hidden.bias
    if bias is None or not cell.filter_banks:
        return cell.hidden.weight, bias
    identity, *mixes = cell.hidden.weight.flatten(1).chunk(3, dim=1)  # each (H, C)
    shape = (-1, *cell.filter_banks[0].weight.shape[1:])
    matrix = F.pad(identity[(..., *(None,) * cell.dim)], (1, 1) * cell.dim)
    for mix, bank in zip(mixes, cell.filter_banks, strict=True):
        matrix = matrix + (mix @ bank.weight.flatten(1)).view(shape)
        if bank.bias is not None:
            bias = bias + mix @ bank.bias
    return matrix, bias


def prepared(cell: Cell, state: Tensor, share: float) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """The state (B, C, *spatial) and its weights: matrix (H, C, 3, ...), bias (H) and update (C - fixed, H) * share.

    Where the number of free channels is one below a multiple of 8, C has one more channel, which stays zero.
    """
    matrix, bias = folded(cell)
    update = (cell.update.weight if cell.banks is None else cell.update.weight[cell.fixed :]) * share
    if update.shape[0] % LANES == LANES - 1:
        at_end = (*(0, 0) * cell.dim, 0, 1)
        state, matrix, update = F.pad(state, at_end), F.pad(matrix, at_end), F.pad(update, (0, 0, 0, 1))
    return state, matrix, bias, update


def run_dense(
    cell: Cell, state: Tensor, fired: Tensor | None, steps: int, keep_every: int = 0, share: float = 1.0
) -> Tensor:
    """As nca.run_steps; no gradient reaches the image channels of `state` (B, C, *spatial).

    keep_every: gradient checkpointing keeps every so many states for the backward pass and nothing else. 0 keeps
        whatever the backward pass needs of each step.
    """
    n_free = state.shape[1] - cell.fixed
    state, matrix, bias, update = prepared(cell, state, share)
    image = state[:, : cell.fixed].detach().contiguous(memory_format=CHANNELS_LAST[cell.dim])
    free = state[:, cell.fixed :].movedim(1, -1).contiguous()
    weights = (matrix, bias, *norm_of(cell), update)
    setting = _Setting(fired, cell.border, autocast_dtype(state) or state.dtype)

    def kernel_of(
        image: Tensor,
        matrix: Tensor,
        bias: Tensor | None,
        gain: Tensor | None,
        shift: Tensor | None,
        update: Tensor,
    ) -> _Level:
        return _Level(image, _Weights(matrix, bias, affine(gain, shift), update), setting)

    with torch.autocast(state.device.type, enabled=False):
        if torch.is_grad_enabled():
            free = CheckpointedSteps.apply(kernel_of, steps, keep_every, free, image, *weights)
        else:
            level = kernel_of(image, *weights)
            for step in range(steps):
                free = level.updated(free, level.perceived(free, step), step)
    return torch.cat([image, free[..., :n_free].movedim(-1, 1)], dim=1)


def activate(hidden: Tensor, norm: Affine | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """hidden: (..., H). Returns it after layer norm, if any, and ReLU; and what else `activate_backward` needs."""
    if norm is None:
        return hidden.relu_(), ()
    normed, mean, deviation = torch.native_layer_norm(hidden, norm.gain.shape, norm.gain, norm.shift, EPSILON)
    return normed.relu_(), (hidden, mean, deviation)


def activate_backward(
    grad: Tensor, active: Tensor, kept: tuple[Tensor, ...], norm: Affine | None
) -> tuple[Tensor, Affine | None]:
    """Gradients with respect to the hidden units and to the norm. `grad` is overwritten."""
    aten.threshold_backward.grad_input(grad, active, 0, grad_input=grad)
    if norm is None:
        return grad, None
    hidden, *statistics = kept
    wanted = [True, True, True]
    to_hidden, to_gain, to_shift = aten.native_layer_norm_backward.default(
        grad, hidden, norm.gain.shape, *statistics, norm.gain, norm.shift, wanted
    )
    return to_hidden, Affine(to_gain, to_shift)


def add_affine(total: Affine | None, part: Affine | None) -> None:
    """Adds `part` to `total` in place, where there is a norm."""
    if total is not None and part is not None:
        total.gain.add_(part.gain)
        total.shift.add_(part.shift)


class _Weights(NamedTuple):
    """matrix: (H, C, 3, ...). bias: (H,). update: (F, H)."""

    matrix: Tensor
    bias: Tensor | None
    norm: Affine | None
    update: Tensor

    def to(self, dtype: torch.dtype) -> "_Weights":
        bias = None if self.bias is None else self.bias.to(dtype)
        norm = None if self.norm is None else Affine(self.norm.gain.to(dtype), self.norm.shift.to(dtype))
        return _Weights(self.matrix.to(dtype), bias, norm, self.update.to(dtype))


@dataclass(frozen=True)
class _Setting:
    """fired: as in run_dense. dtype: of the products and hidden units."""

    fired: Tensor | None
    border: Border
    dtype: torch.dtype


class _Level:
    """The steps of a level as a gradient_checkpointing.Kernel. Its states are (B, *spatial, F), the F free channels.

    image: (B, fixed, *spatial), channels last in memory. The padded image's part of the convolution is computed here.
    """

    def __init__(self, image: Tensor, weights: _Weights, setting: _Setting) -> None:
        self.border, self.dtype, fired = setting.border, setting.dtype, setting.fired
        image, (matrix, bias, self.norm, self.update) = image.to(self.dtype), weights.to(self.dtype)
        self.dim, self.fixed, self.has_bias = image.ndim - 2, image.shape[1], bias is not None
        self.fired = None if fired is None else fired.movedim(2, -1).unbind()  # each step: (B, *spatial, 1)
        self.padding = [1] * self.dim if self.border == "zeros" else [0] * self.dim
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

    def convolve_backward(self, grad: Tensor, seen: Tensor, matrix: Tensor, to_seen: bool) -> tuple[Tensor, Tensor]:
        """Gradients with respect to `seen` (None unless `to_seen`) and `matrix`."""
        ones, zeros = [1] * self.dim, [0] * self.dim
        wanted = [to_seen, True, False]
        return aten.convolution_backward.default(
            grad, seen, matrix, None, ones, self.padding, ones, False, zeros, 1, wanted
        )[:2]

    def padded_backward(self, grad: Tensor, state: Tensor) -> Tensor:
        """The gradient with respect to `state`, from the one with respect to the padded state."""
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
        return _Perceived(seen, *activate(hidden, self.norm))

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
    """What a step computes from a state, as its backward pass needs it."""

    seen: Tensor  # the padded state, channels first
    active: Tensor  # hidden units (B, *spatial, H) after norm and ReLU
    of_norm: tuple[Tensor, ...]  # hidden units before the norm, and the norm's statistics


class _Gradients:
    """The gradient of the state after a step, and those of the level's weights, summed in its type."""

    def __init__(self, level: _Level, grad: Tensor) -> None:
        self.level, self.grad, dtype = level, grad, grad.dtype
        self.of_state, self.update, self.from_image = (
            torch.zeros_like(one, dtype=dtype) for one in (level.of_state, level.update, level.from_image)
        )
        self.norm = level.norm and Affine(*(torch.zeros_like(one, dtype=dtype) for one in level.norm))

    def step_back(self, perceived: _Perceived, step: int) -> None:
        level, grad, (seen, active, of_norm) = self.level, self.grad, perceived
        del perceived  # each map is freed as soon as it has served
        of_update = grad if level.fired is None else grad * level.fired[step]
        of_update = of_update.flatten(0, -2).to(level.dtype)
        self.update += of_update.t() @ active.flatten(0, -2)
        to_active = (of_update @ level.update).view(active.shape)
        hidden, to_norm = activate_backward(to_active, active, of_norm, level.norm)
        del to_active, active, of_norm
        add_affine(self.norm, to_norm)
        hidden = hidden.movedim(-1, 1)
        self.from_image += hidden
        to_seen, to_matrix = level.convolve_backward(hidden, seen, level.of_state, True)
        self.of_state += to_matrix
        self.grad = level.padded_backward(to_seen.to(grad.dtype), grad).add_(grad)

    def result(self) -> tuple[Tensor | None, ...]:
        """The gradients of state, image (none), matrix, bias, gain, shift and update."""
        level, from_image = self.level, self.from_image.to(self.level.dtype)
        _, of_image = level.convolve_backward(from_image, level.image, level.of_image, False)
        bias = self.from_image.sum((0, *range(2, self.from_image.ndim))) if level.has_bias else None
        matrix = torch.cat([of_image.to(self.of_state.dtype), self.of_state], dim=1)
        return self.grad, None, matrix, bias, *(self.norm or (None, None)), self.update
