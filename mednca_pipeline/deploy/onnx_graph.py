"""A Med-NCA as an ONNX graph of standard operators, from what the network sees of an image to probabilities.

The graph computes the expected update in every cell, with all levels and steps unrolled: what models/prediction.py
defines without an outline.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from ..inference.light import architecture
from ..plans.model_plans import NCAPlan
from ..plans.plans import Plans
from ..runtime.folding import Architecture, cell_shapes, check_shapes
from .onnx_cell import Cell
from .onnx_nodes import IMAGE, Nodes

PROBABILITIES = "probabilities"
_SIDES = ("depth", "height", "width")

Weights = Mapping[str, np.ndarray]


def prediction_graph(plans: Plans, config: str, model: str, folds: Sequence[Weights] = ()) -> bytes:
    """The graph of a planned Med-NCA in ONNX's binary form, the same bytes for the same arguments.

    Input "image": float32 (slices, channels, height, width), in 3D (volumes, channels, depth, height, width). Sides are
    multiples of the coarsest factor. Output "probabilities": float32 (slices, outputs, height, width), in 3D alike.
    folds: the weights of each fold by their names in its safetensors file. The graph holds them, and probabilities are
    the mean of the folds. Without `folds` the weights of one fold are further inputs, under the same names.
    Raises InputError for weights of another architecture.
    """
    plan = cast(NCAPlan, plans.config(config).model(model))
    nodes, form = Nodes(), architecture(plan, plans.input_channels(plan), plans.labels)
    network = _Network(nodes, form, cell_shapes(form, plan.hidden, plan.perception == "paper"))
    if folds:
        each = [network.held(f"fold_{number}.", weights) for number, weights in enumerate(folds)]
    else:
        each = [network.asked()]
    total = each[0]
    for other in each[1:]:
        total = nodes("Add", total, other)
    nodes("Mul", total, nodes.constant(np.array(1 / len(each), np.float32)), name=PROBABILITIES)
    nodes.output(PROBABILITIES, network.shape(form.n_outputs))
    name, description = f"{plans.dataset} {model} {config}", "Preprocessed image to probabilities."
    return nodes.model(name, description, {"digest": plans.digest(config, model)})


class _Network:
    """Adds the nodes of a Med-NCA. Weights are values of the graph, known by a fold's prefix and their names.

    shapes: of the weights of one level.
    """

    def __init__(self, nodes: Nodes, form: Architecture, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.nodes, self.form, self.level_shapes = nodes, form, shapes
        self.dim, self.n_free = len(form.levels[0][0]), form.channels - form.n_image
        self.shapes = {f"cells.{level}.{name}": shapes[name] for level in range(len(form.levels)) for name in shapes}
        nodes.input(IMAGE, self.shape(form.n_image))
        self.seen = [self._pooled(factor) for factor, _ in form.levels]  # all folds see the same

    def shape(self, channels: int) -> tuple[int | str, ...]:
        """Of a value with so many channels, at full resolution."""
        return ("slices" if self.dim == 2 else "volumes", channels, *_SIDES[-self.dim :])

    def asked(self) -> str:
        """The probabilities of a fold whose weights are inputs of the graph."""
        for name, shape in self.shapes.items():
            self.nodes.input(name, shape)
        return self._probabilities("")

    def held(self, prefix: str, weights: Weights) -> str:
        """The probabilities of a fold whose weights are constants of the graph."""
        check_shapes({name: array.shape for name, array in weights.items()}, self.shapes, prefix)
        for name, array in weights.items():
            self.nodes.constant(array, prefix + name)
        return self._probabilities(prefix)

    def _probabilities(self, prefix: str) -> str:
        state, above = None, self.form.levels[0][0]
        for level, (factor, steps) in enumerate(self.form.levels):
            if state is not None:
                state = self._repeated(state, [before / side for before, side in zip(above, factor, strict=True)])
            cell = Cell(self.nodes, self.form, f"{prefix}cells.{level}.", self.level_shapes)
            cell.see(self.seen[level])
            for _ in range(steps):
                state = cell.step(state)
            above = factor
        assert state is not None  # every level has steps
        logits = state
        if self.n_free > self.form.n_outputs:
            sizes = [self.form.n_outputs, self.n_free - self.form.n_outputs]
            logits, _ = self.nodes.split(state, sizes, axis=1)
        return self.nodes("Sigmoid", logits) if self.form.sigmoid else self.nodes("Softmax", logits, axis=1)

    def _pooled(self, factor: Sequence[int]) -> str:
        if set(factor) == {1}:
            return IMAGE
        return self.nodes("AveragePool", IMAGE, kernel_shape=factor, strides=factor)

    def _repeated(self, state: str, ratio: Sequence[float]) -> str:
        """Each cell repeated over the cells of the next level that lie in it."""
        scales = self.nodes.constant(np.array([1, 1, *ratio], np.float32))
        mode = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.nodes("Resize", state, "", scales, **mode)
