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
from .onnx_nodes import Nodes

IMAGE, PROBABILITIES = "image", "probabilities"
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
    nodes, network = _begun(plans, config, model)
    metadata = {"digest": plans.digest(config, model)}
    if folds:
        prefixes = [f"fold_{number}." for number in range(len(folds))]
        for prefix, weights in zip(prefixes, folds, strict=True):
            network.hold(prefix, weights)
    else:
        prefixes = [""]
        network.ask("")
    each = [network.probabilities(prefix) for prefix in prefixes]
    total = each[0]
    for other in each[1:]:
        total = nodes("Add", total, other)
    share = nodes.constant(np.array(1 / len(each), np.float32))
    nodes("Mul", total, share, name=PROBABILITIES)
    nodes.output(PROBABILITIES, network.shape(plans.labels.n_outputs))
    return nodes.model(f"{plans.dataset} {model} {config}", "Preprocessed image to probabilities.", metadata)


def steps_graph(plans: Plans, config: str, model: str) -> bytes:
    """A graph whose outputs are the states after each step, to watch the cells at work.

    Inputs: the image and the weights, as of `prediction_graph` without folds. Output "level_L.step_S": float32 (slices,
    free channels, *grid of the level), of which the first channels are the logits. Levels count from 0, the coarsest;
    steps from 1.
    """
    nodes, network = _begun(plans, config, model)
    metadata = {"digest": plans.digest(config, model)}
    network.ask("")
    for level, states in enumerate(network.states("")):
        for step, state in enumerate(states, start=1):
            name = nodes("Identity", state, name=f"level_{level}.step_{step}")
            nodes.output(name, network.shape(network.n_free, level))
    description = "Preprocessed image to the states after each step."
    return nodes.model(f"{plans.dataset} {model} {config}, steps", description, metadata)


def _begun(plans: Plans, config: str, model: str) -> tuple[Nodes, "_Network"]:
    plan = cast(NCAPlan, plans.config(config).model(model))
    nodes, form = Nodes(), architecture(plan, plans.input_channels(plan), plans.labels)
    return nodes, _Network(nodes, form, cell_shapes(form, plan.hidden, plan.perception == "paper"))


class _Network:
    """Adds the nodes of a Med-NCA. Weights are values of the graph, known by a fold's prefix and their names.

    shapes: of the weights of one level.
    """

    def __init__(self, nodes: Nodes, form: Architecture, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.nodes, self.form, self.own_shapes = nodes, form, shapes
        self.factors = [factor for factor, _ in form.levels]
        self.dim, self.n_free = len(self.factors[0]), form.channels - form.n_image
        self.shapes = {f"cells.{level}.{name}": shapes[name] for level in range(len(form.levels)) for name in shapes}
        nodes.input(IMAGE, self.shape(form.n_image))
        self.seen = [self._pooled(factor) for factor in self.factors]

    def shape(self, channels: int, level: int | None = None) -> tuple[int | str, ...]:
        """Of a value with so many channels, at full resolution or on the grid of a level."""
        sides = [side if level is None else f"{side}_{level}" for side in _SIDES[-self.dim :]]
        return ("slices" if self.dim == 2 else "volumes", channels, *sides)

    def ask(self, prefix: str) -> None:
        """Makes the weights inputs of the graph."""
        for name, shape in self.shapes.items():
            self.nodes.input(prefix + name, shape)

    def hold(self, prefix: str, weights: Weights) -> None:
        """Makes the weights constants of the graph."""
        check_shapes({name: array.shape for name, array in weights.items()}, self.shapes, prefix)
        for name, array in weights.items():
            self.nodes.constant(array, prefix + name)

    def probabilities(self, prefix: str) -> str:
        """The probabilities of one fold."""
        *_, states = self.states(prefix)
        count = self.form.n_outputs
        logits, *_ = self.nodes.split(states[-1], [count, self.n_free - count] if self.n_free > count else [count], 1)
        return self.nodes("Sigmoid", logits) if self.form.sigmoid else self.nodes("Softmax", logits, axis=1)

    def states(self, prefix: str) -> list[list[str]]:
        """The free channels of the state after each step of each level."""
        levels: list[list[str]] = []
        for level, (factor, steps) in enumerate(self.form.levels):
            cell = Cell(self.nodes, self.form, f"{prefix}cells.{level}.", self.own_shapes)
            cell.see(self.seen[level])
            state = None
            if levels:
                ratio = [above / side for above, side in zip(self.factors[level - 1], factor, strict=True)]
                state = self._repeated(levels[-1][-1], ratio)
            levels.append([])
            for _ in range(steps):
                state = cell.step(state)
                levels[-1].append(state)
        return levels

    def _pooled(self, factor: Sequence[int]) -> str:
        if set(factor) == {1}:
            return IMAGE
        return self.nodes("AveragePool", IMAGE, kernel_shape=factor, strides=factor)

    def _repeated(self, state: str, ratio: Sequence[float]) -> str:
        """Each cell repeated over the cells of the next level that lie in it."""
        scales = self.nodes.constant(np.array([1, 1, *ratio], np.float32))
        mode = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.nodes("Resize", state, "", scales, **mode)
