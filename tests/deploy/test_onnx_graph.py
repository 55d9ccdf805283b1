"""The ONNX graph gives the probabilities of the light backend that computes every cell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mednca_pipeline.deploy.onnx_graph import PROBABILITIES, prediction_graph
from mednca_pipeline.deploy.onnx_nodes import IMAGE
from mednca_pipeline.inference.light import architecture
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.plans.model_plans import LevelPlan
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.folding import light_nca
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.light_nca import level_by_level, pyramid
from mednca_pipeline.runtime.weights import FoldWeights

from ..inference.tiny_model import make_plans, with_regions

ROOT = Path(__file__).parents[2]
LEVELS = {
    "2d": (LevelPlan((4, 8), 2), LevelPlan((2, 2), 3), LevelPlan((1, 1), 2)),
    "3d": (LevelPlan((1, 4, 4), 2), LevelPlan((1, 2, 2), 3), LevelPlan((1, 1, 1), 1)),
}
SIZES = {"2d": ((3, 20, 24), (1, 4, 8), (2, 28, 8)), "3d": ((1, 5, 12, 20), (2, 3, 4, 8))}  # slices or volumes first
STANDARD = set("Add AveragePool Conv Div MatMul Mul Pad ReduceMean Relu Reshape Resize Sigmoid Softmax Split".split())
STANDARD |= {"Sqrt", "Sub"}


def planned(config="2d", channels=2, labels=None, **changes):
    """Plans whose "mednca" has three levels."""
    plans = make_plans(channels)
    plans = replace(plans, labels=labels or plans.labels)
    chosen = plans.config(config)
    plan = replace(chosen.model("mednca"), **{"levels": LEVELS[config], "channels": 14, **changes})
    return replace(plans, configs={**plans.configs, config: chosen.with_model("mednca", plan)})


def trained(plans, config, seed=0):
    """The network with random weights that are large enough for probabilities from 0 to 1, and the weights' arrays."""
    torch.manual_seed(seed)
    network = build_model("mednca", plans, config).eval()
    for name, parameter in network.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm.weight" in name), std=0.3)
    return network, {name: value.numpy() for name, value in network.state_dict().items()}


def light(plans, config, weights, image):
    """The light backend's probabilities of every cell, of an image (N, channels, *spatial)."""
    plan = plans.config(config).model("mednca")
    nca = light_nca(FoldWeights(weights, "memory"), architecture(plan, plans.input_channels(plan), plans.labels))
    parts = [image.swapaxes(0, 1)] if config == "2d" else [volume[:, None] for volume in image]
    results = []
    for part in parts:
        *_, last = level_by_level(nca, pyramid(nca, np.ascontiguousarray(part)))
        results.append(last.probabilities().swapaxes(0, 1))
    return np.concatenate(results)


def run(graph, image, outputs=(PROBABILITIES,), **weights):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {IMAGE: image, **weights})


def assert_same(plans, config):
    _, weights = trained(plans, config)
    channels = plans.input_channels(plans.config(config).model("mednca"))
    inside, asked = prediction_graph(plans, config, "mednca", [weights]), prediction_graph(plans, config, "mednca")
    for size in SIZES[config]:
        image = np.random.default_rng(0).normal(size=(size[0], channels, *size[1:])).astype(np.float32)
        expected = light(plans, config, weights, image)
        assert np.ptp(expected) > 0.5
        for found in (*run(inside, image), *run(asked, image, **weights)):
            np.testing.assert_allclose(found, expected, atol=1e-4)
            np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("config", ["2d", "3d"])
@pytest.mark.parametrize("border", ["replicate", "zeros"])
@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("norm", ["layer", "rms", "none"])
def test_every_form_of_the_cell(config, border, perception, norm):
    assert_same(planned(config, border=border, perception=perception, norm=norm), config)


@pytest.mark.parametrize("config", ["2d", "3d"])
def test_regions(config):
    assert_same(planned(config, labels=with_regions(make_plans()).labels), config)


def test_one_channel_and_one_class():
    assert_same(planned(channels=1, labels=Labels(("organ",), ((3,),))), "2d")


def test_adjacent_slices_and_position_are_further_channels():
    assert_same(planned(adjacent_slices=1, position=(20.0, 24.0)), "2d")


def test_reflected_borders():
    plans = planned(border="reflect", levels=(LevelPlan((2, 2), 2), LevelPlan((1, 1), 2)))
    _, weights = trained(plans, "2d")
    image = np.random.default_rng(0).normal(size=(2, 2, 6, 10)).astype(np.float32)
    (found,) = run(prediction_graph(plans, "2d", "mednca", [weights]), image)
    np.testing.assert_allclose(found, light(plans, "2d", weights, image), atol=1e-4)


def test_the_planned_network_of_the_paper():
    plans = read_plans(ROOT / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json")
    torch.manual_seed(0)
    network = build_model("mednca_paper", plans, "2d").eval()
    for cell in network.cells:
        torch.nn.init.normal_(cell.update.weight, std=0.02)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    sides = [2 * side for side in network.factor]
    image = np.random.default_rng(0).normal(size=(1, network.n_image, *sides)).astype(np.float32)
    with torch.inference_mode():
        expected = network.predict_logits(torch.from_numpy(image)).softmax(dim=1).numpy()
    (found,) = run(prediction_graph(plans, "2d", "mednca_paper", [weights]), image)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_folds_are_averaged():
    plans = planned()
    folds = [trained(plans, "2d", seed)[1] for seed in range(3)]
    image = np.random.default_rng(0).normal(size=(2, 2, 8, 16)).astype(np.float32)
    (found,) = run(prediction_graph(plans, "2d", "mednca", folds), image)
    np.testing.assert_allclose(found, np.mean([light(plans, "2d", each, image) for each in folds], axis=0), atol=1e-4)


def test_only_standard_operators_and_the_same_bytes_each_time():
    plans = planned(perception="paper", norm="rms", labels=with_regions(make_plans()).labels)
    graph = prediction_graph(plans, "2d", "mednca")
    assert graph == prediction_graph(plans, "2d", "mednca")
    model = onnx.load_from_string(graph)
    assert {node.op_type for node in model.graph.node} <= STANDARD
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]


def test_weights_of_another_architecture():
    plans = planned()
    _, weights = trained(plans, "2d")
    other = {name: array for name, array in weights.items() if name != "cells.1.norm.bias"}
    with pytest.raises(InputError, match=r"fold_0\.cells\.1\.norm\.bias: expected shape \(12,\), found no such weight"):
        prediction_graph(plans, "2d", "mednca", [other])
    with pytest.raises(InputError, match="expected no such weight, found shape"):
        prediction_graph(plans, "2d", "mednca", [{**weights, "cells.3.norm.bias": np.zeros(12, np.float32)}])
