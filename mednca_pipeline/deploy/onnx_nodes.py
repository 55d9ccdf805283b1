"""The nodes of an ONNX graph, collected one by one, and the model that they make."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

OPSET = 13  # the first in which the sizes of Split are an input; old enough for every runtime in use
IR_VERSION = 7  # which came with it
IMAGE = "image"  # the input of every graph

Shape = Sequence[int | str]  # a text names a side that differs between images


class Nodes:
    """The nodes and constants of a graph, in the order in which they are computed. Values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._inputs: dict[str, ValueInfoProto] = {}
        self._outputs: dict[str, ValueInfoProto] = {}

    def __call__(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Adds a node with one output. Returns its name, by default one that no other node has."""
        (made,) = self._add(operator, inputs, (name or self._unused(),), attributes)
        return made

    def split(self, value: str, sizes: Sequence[int], axis: int) -> tuple[str, ...]:
        """The parts of a value along an axis, of the given sizes."""
        first = len(self._nodes)
        names = [f"v{first}_{index}" for index in range(len(sizes))]
        return self._add("Split", (value, self.constant(np.array(sizes, np.int64))), names, {"axis": axis})

    def constant(self, array: np.ndarray, name: str = "") -> str:
        """Adds a constant. Returns its name, by default that of an equal one where there is one."""
        from onnx import numpy_helper

        if not name:
            values = "_".join(f"{value:g}" for value in array.reshape(-1).tolist())
            name = f"{array.dtype}_{'x'.join(map(str, array.shape))}_{values}"
        self._constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def input(self, name: str, shape: Shape) -> str:
        self._inputs[name] = _float_info(name, shape)
        return name

    def output(self, name: str, shape: Shape) -> None:
        """Makes a value that is there already an output of the graph."""
        self._outputs[name] = _float_info(name, shape)

    def model(self, name: str, description: str, metadata: Mapping[str, str]) -> bytes:
        """The model in ONNX's binary form, checked. The same nodes make the same bytes."""
        from onnx import checker, helper

        graph = helper.make_graph(
            self._nodes,
            name,
            list(self._inputs.values()),
            list(self._outputs.values()),
            [self._constants[constant] for constant in sorted(self._constants)],
            doc_string=description,
        )
        opset = helper.make_opsetid("", OPSET)
        made = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        made.producer_name, made.producer_version = "mednca_pipeline", __version__
        helper.set_model_props(made, dict(metadata))
        checker.check_model(made, full_check=True)
        return made.SerializeToString(deterministic=True)

    def _unused(self) -> str:
        return f"v{len(self._nodes)}"

    def _add(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: dict[str, Any]
    ) -> tuple[str, ...]:
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return tuple(outputs)


def _float_info(name: str, shape: Shape) -> "ValueInfoProto":
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
