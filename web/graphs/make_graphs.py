"""The matrix products of a Med-NCA's cells as ONNX graphs, for any number of cells, channels and hidden units.

    python web/graphs/make_graphs.py

perceive.onnx: rows (M, K), matrix (K, H), bias (H) -> hidden (M, H): what cells see of the image.
step.onnx: rows (M, K) of the state, base (M, H) of the image -> change (M, F): one step of the cells, with a norm over
the hidden units whose mean is 0 (runtime/light_nca.py). step_without_norm.onnx: the same for rules that have none.
"""

from pathlib import Path

from onnx import TensorProto, checker, helper

FOLDER = Path(__file__).parent
NORM = [
    ("Mul", ["sum", "sum"], "squares", {}),
    ("ReduceMean", ["squares"], "mean", {"axes": [1], "keepdims": 1}),
    ("Add", ["mean", "eps"], "variance", {}),
    ("Sqrt", ["variance"], "deviation", {}),
    ("Div", ["sum", "deviation"], "scaled", {}),
    ("Mul", ["scaled", "gain"], "gained", {}),
    ("Add", ["gained", "shift"], "normed", {}),
]
STATE = {"rows": ["M", "K"], "base": ["M", "H"], "matrix": ["K", "H"], "update": ["H", "F"]}


def main() -> None:
    perceive = [("MatMul", ["rows", "matrix"], "product", {}), ("Add", ["product", "bias"], "hidden", {})]
    write("perceive", perceive, {"rows": ["M", "K"], "matrix": ["K", "H"], "bias": ["H"]}, {"hidden": ["M", "H"]})
    norm = {"eps": [1], "gain": ["H"], "shift": ["H"]}
    write("step", step(NORM, "normed"), STATE | norm, {"change": ["M", "F"]})
    write("step_without_norm", step([], "sum"), STATE, {"change": ["M", "F"]})


def step(norm: list, normed: str) -> list:
    begin = [("MatMul", ["rows", "matrix"], "product", {}), ("Add", ["product", "base"], "sum", {})]
    return [*begin, *norm, ("Relu", [normed], "active", {}), ("MatMul", ["active", "update"], "change", {})]


def write(name: str, operators: list, inputs: dict, outputs: dict) -> None:
    nodes = [helper.make_node(kind, taken, [made], **attributes) for kind, taken, made, attributes in operators]
    graph = helper.make_graph(nodes, name, _infos(inputs), _infos(outputs))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def _infos(shapes: dict) -> list:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]


if __name__ == "__main__":
    main()
