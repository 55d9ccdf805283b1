"""The rule of one level's cells (models.nca.Cell) as nodes of an ONNX graph."""

from collections.abc import Mapping

import numpy as np

from ..runtime.folding import Architecture
from ..runtime.light_nca import NORM_EPS
from .onnx_nodes import Nodes

_PAD_MODE = {"replicate": "edge", "reflect": "reflect"}


class Cell:
    """Weights are values of the graph, known by the level's prefix and their names; shapes: of these weights.

    Values stay in the order (N, channels, *grid), without transposes, which take a large part of the time in WASM.
    """

    def __init__(self, nodes: Nodes, form: Architecture, prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.nodes, self.form, self.prefix, self.shapes = nodes, form, prefix, shapes
        self.dim, self.n_free = len(form.levels[0][0]), form.channels - form.n_image
        self.hidden = shapes["update.weight"][1]
        matrix, self.bias = self._matrix_and_bias()
        if form.norm == "layer":  # the mean that the norm subtracts, as in runtime.light_nca.Rule.folded
            matrix, self.bias = self._centred(matrix), [self._centred(bias) for bias in self.bias]
        self.from_image, self.from_state = nodes.split(matrix, [form.n_image, self.n_free], axis=1)
        self.affine = [self._per_unit(f"{prefix}norm.{name}") for name in ("weight", "bias") if form.norm != "none"]
        self.update = self._update()
        self.base = ""

    def see(self, image: str) -> None:
        """Computes the part of the hidden units that the image (N, image channels, *grid) makes in every step."""
        self.base = self._perceived(image, self.from_image, *self.bias)

    def step(self, state: str | None) -> str:
        """The state (N, free channels, *grid) after a step. None: zeros."""
        nodes, hidden = self.nodes, self.base
        if state is not None:
            hidden = nodes("Add", self._perceived(state, self.from_state), hidden)
        change = nodes("Conv", nodes("Relu", self._normed(hidden)), self.update)
        return change if state is None else nodes("Add", state, change)

    def _perceived(self, values: str, matrix: str, *bias: str) -> str:
        """The hidden units (N, H, *grid) that the neighbourhoods of `values` (N, C, *grid) make."""
        if self.form.border == "zeros":
            return self.nodes("Conv", values, matrix, *bias, pads=[1] * (2 * self.dim))
        margins = self.nodes.constant(np.array([0, 0, *(1,) * self.dim] * 2, np.int64))
        padded = self.nodes("Pad", values, margins, mode=_PAD_MODE[self.form.border])
        return self.nodes("Conv", padded, matrix, *bias)

    def _normed(self, hidden: str) -> str:
        """hidden: (N, H, *grid), for a layer norm with mean 0 over the units."""
        if self.form.norm == "none":
            return hidden
        nodes, (gain, shift) = self.nodes, self.affine
        squares = nodes("ReduceMean", nodes("Mul", hidden, hidden), axes=[1], keepdims=1)
        eps = nodes.constant(np.array(NORM_EPS[self.form.norm], np.float32))
        scaled = nodes("Div", hidden, nodes("Sqrt", nodes("Add", squares, eps)))
        return nodes("Add", nodes("Mul", scaled, gain), shift)

    def _centred(self, weights: str) -> str:
        """Without the mean over the hidden units, the first axis."""
        return self.nodes("Sub", weights, self.nodes("ReduceMean", weights, axes=[0], keepdims=1))

    def _per_unit(self, weights: str) -> str:
        """(H) -> (H, 1, ...), one for each hidden unit."""
        return self._reshaped(weights, self.hidden, *(1,) * self.dim)

    def _matrix_and_bias(self) -> tuple[str, list[str]]:
        """The matrix (H, channels, 3, ...) of the perception, and its bias (H), if any."""
        weight, bias = f"{self.prefix}hidden.weight", f"{self.prefix}hidden.bias"
        if "banks.0.weight" in self.shapes:
            return self._with_banks(weight, bias)
        return weight, [bias] if "hidden.bias" in self.shapes else []

    def _with_banks(self, weight: str, bias: str) -> tuple[str, list[str]]:
        """The identity, the filter banks and the layer that mixes them as one matrix, as in runtime.folding."""
        nodes, channels = self.nodes, self.form.channels
        hidden, taps = self.hidden, self.shapes["banks.0.weight"][2:]
        identity, *mixes = nodes.split(weight, [channels] * 3, axis=1)
        margins = nodes.constant(np.array([0, 0, *(1,) * self.dim] * 2, np.int64))
        matrix = nodes("Pad", identity, margins)
        for index, mix in enumerate(mixes):
            bank = f"{self.prefix}banks.{index}"
            flat = self._reshaped(mix, hidden, channels)
            filters = nodes("MatMul", flat, self._reshaped(f"{bank}.weight", channels, -1))
            matrix = nodes("Add", matrix, self._reshaped(filters, hidden, channels, *taps))
            shift = nodes("MatMul", flat, self._reshaped(f"{bank}.bias", channels, 1))
            bias = nodes("Add", bias, self._reshaped(shift, hidden))
        return matrix, [bias]

    def _reshaped(self, value: str, *shape: int) -> str:
        return self.nodes("Reshape", value, self.nodes.constant(np.array(shape, np.int64)))

    def _update(self) -> str:
        """The update's weight times the fire rate, as the weight (free channels, H, 1, ...) of a convolution."""
        nodes, rows = self.nodes, f"{self.prefix}update.weight"
        if self.shapes["update.weight"][0] > self.n_free:  # the published layer's rows for the image change nothing
            _, rows = nodes.split(rows, [self.form.n_image, self.n_free], axis=0)
        rate = nodes.constant(np.array(self.form.fire_rate, np.float32))
        return self._reshaped(nodes("Mul", rows, rate), self.n_free, self.hidden, *(1,) * self.dim)
