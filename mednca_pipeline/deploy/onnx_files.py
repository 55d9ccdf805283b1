"""A model as an ONNX graph with its weights, beside a JSON file that says how to use it."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..inference.trained_model import TrainedModel
from ..plans.model_plans import NCAPlan
from ..results.fold_folder import FoldName
from ..runtime.errors import InputError
from ..runtime.files import replacing, write_json
from .onnx_description import describe_graph, read_description
from .onnx_graph import prediction_graph


def write_onnx(model: TrainedModel, folds: Sequence[FoldName], out: Path) -> Path:
    """Writes the mean of some folds to `out`, NAME.onnx, and returns the description beside it, NAME.json.

    Raises InputError for a model that is no Med-NCA, and for files that are there and are not such a pair.
    """
    if not isinstance(model.plans.config(model.config).model(model.model), NCAPlan):
        raise InputError(f"-m {model.model}", "a Med-NCA, which has an ONNX form", "a model without one")
    description = out.with_suffix(".json")
    if os.path.lexists(out) or os.path.lexists(description):
        _check_ours(out, description)
    weights = [model.weights(fold).arrays for fold in folds]
    graph = prediction_graph(model.plans, model.config, model.model, weights)
    with replacing(out) as temporary:
        temporary.write_bytes(graph)
    write_json(description, describe_graph(model.plans, model.config, model.model, model.components()))
    return description


def _check_ours(out: Path, description: Path) -> None:
    try:
        read_description(description)
    except InputError as error:
        expected = f"new files, or a graph with its description {description.name} to replace"
        raise InputError(f"-o {out}", expected, "a file of something else", "Give another name.") from error
    if os.path.lexists(out) and not out.is_file():
        raise InputError(f"-o {out}", "a file", "something else", "Give another name.")
