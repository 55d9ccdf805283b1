"""The description says all that another program needs: docs/examples/predict_with_onnx.py knows nothing else."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import onnx
import onnxruntime
import pytest

from mednca_pipeline.deploy.onnx_description import HOW, describe_graph, read_description
from mednca_pipeline.deploy.onnx_graph import prediction_graph
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.images import read_image
from mednca_pipeline.runtime.weights import read_weights

from ..inference.tiny_model import SPACING, make_image, make_plans, save_model, two_dimensional, with_regions

ROOT = Path(__file__).parents[2]
EVERYWHERE = PredictionOptions(device="cpu", quality=False, everywhere=True)


@pytest.fixture(scope="module")
def reader():
    file = ROOT / "docs" / "examples" / "predict_with_onnx.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changed(plans, config="2d", preprocessing=None, **model):
    """The plans with other fields of a configuration's preprocessing and of its mednca."""
    chosen = plans.config(config)
    chosen = replace(chosen, preprocessing=replace(chosen.preprocessing, **(preprocessing or {})))
    made = chosen.with_model("mednca", replace(chosen.model("mednca"), **model))
    return replace(plans, configs={**plans.configs, config: made})


def image(channels=1, shape=(5, 14, 11)):
    """(channels, *shape) with a margin of zeros that differs between the sides."""
    array = np.stack([make_image(index, shape) for index in range(channels)])
    array[..., :2] = array[..., -1:] = array[..., :1, :] = 0
    return array


def exported(folder, plans, config="2d", folds=(0, 1)):
    """The graph with all folds' weights, and its description, as another program gets them: bytes and JSON."""
    weights = [read_weights(folder / f"fold_{fold}" / "final.safetensors").arrays for fold in folds]
    described = folder / "description.json"
    write_json(described, describe_graph(plans, config, "mednca"))
    return prediction_graph(plans, config, "mednca", weights), json.loads(described.read_text())


def assert_same(reader, tmp_path, plans, array, config="2d", spacing=SPACING):
    folder = save_model(tmp_path, plans, config=config)
    expected = Predictor.from_folder(folder, options=EVERYWHERE).predict(array, spacing).labels
    graph, how = exported(folder, plans, config)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = reader.segmented(array, spacing, how, lambda seen: session.run(None, {"image": seen})[0])
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("config", ["2d", "3d"])
def test_another_program_gets_the_labels_of_mednca_predict(reader, tmp_path, config):
    assert_same(reader, tmp_path, make_plans(2), image(2), config)


def test_axes_in_another_order_and_a_coarse_one(reader, tmp_path):
    order = {"axis_order": (1, 2, 0), "spacing_mm": (None, 1.2, 1.0)}
    assert_same(reader, tmp_path, changed(make_plans(), preprocessing=order), image(), spacing=(7.0, 1.0, 1.5))


def test_regions_and_kept_components(reader, tmp_path):
    kept = {"whole": 2, "posterior": 1}
    assert_same(reader, tmp_path, replace(with_regions(make_plans()), components=kept), image())


def test_kept_components_of_classes(reader, tmp_path):
    assert_same(reader, tmp_path, replace(make_plans(), components={"anterior": 1}), image())


def test_pictures(reader, tmp_path):
    array = image(2)[:, 2]
    assert_same(reader, tmp_path, two_dimensional(make_plans(2)), array, spacing=(1.0, 1.0))


def test_adjacent_slices_and_position(reader, tmp_path):
    plans = changed(make_plans(2), adjacent_slices=2, position=(12.0, 14.0), channels=18)
    assert_same(reader, tmp_path, plans, image(2))
    assert_same(reader, tmp_path, changed(plans, position=(5.0, 12.0, 14.0), channels=20), image(2))


@pytest.mark.parametrize("scheme", ["ct", "rgb", "none"])
def test_every_normalisation(reader, tmp_path, scheme):
    plans = changed(make_plans(), preprocessing={"normalisation": (scheme,), "ct_statistics": ((110, 30, 60, 250),)})
    array = image() / (100 if scheme == "none" else 1)
    assert_same(reader, tmp_path, plans, array)


def test_percentiles_of_a_large_image(reader, tmp_path, monkeypatch):
    monkeypatch.setattr("mednca_pipeline.runtime.normalisation._LARGEST_SAMPLE", 100)
    monkeypatch.setattr(reader, "LARGEST_SAMPLE", 100)
    assert_same(reader, tmp_path, make_plans(), image())


def test_from_file_to_file(reader, tmp_path):
    """A file whose axes are stored in another order and direction than those of an array."""
    plans = make_plans()
    folder = save_model(tmp_path, plans)
    graph, _ = exported(folder, plans)
    (folder / "description.onnx").write_bytes(graph)
    affine = np.array([[0, 0, 1.5, 5], [1, 0, 0, -20], [0, -2, 0, 30], [0, 0, 0, 1]], float)
    stored = np.flip(image()[0].transpose(1, 0, 2), 0)
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "image.nii.gz")
    reader.main(folder / "description.onnx", tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
    read = read_image([tmp_path / "image.nii.gz"])
    expected = Predictor.from_folder(folder, options=EVERYWHERE).predict(read.array, read.spacing_mm).labels
    np.testing.assert_array_equal(read_image([tmp_path / "labels.nii.gz"]).array[0], expected)


def test_graph_and_description_know_each_other(tmp_path):
    plans = make_plans()
    graph, how = exported(save_model(tmp_path, plans), plans)
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(graph).metadata_props}
    assert metadata == {"digest": how["digest"]}
    assert how["digest"] == plans.digest("2d", "mednca") != plans.digest("3d", "mednca")


def test_description_is_read_as_it_was_written(tmp_path):
    described = describe_graph(make_plans(), "2d", "mednca", {"anterior": 1})
    write_json(tmp_path / "graph.json", described)
    assert read_description(tmp_path / "graph.json") == described
    assert described.components == {"anterior": 1}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("schema", 2, "expected schema 1, found 2"),
        ("dataset", "../x", "dataset: expected a name without slashes"),
        ("channels", ["a", "b"], "expected one entry for each channel, found 1 for 2 channels"),
        ("components", {"liver": 1}, "expected some of anterior, posterior, found liver"),
        ("components", {"anterior": 0}, "expected from 1 to"),
        ("input", {"dim": 2, "image_size": [4], "factor": [1, 1], "adjacent_slices": 0, "position": []}, "2 sides"),
        ("input", {"dim": 2, "image_size": [4, 4], "factor": [0, 1], "adjacent_slices": 0, "position": []}, "from 1"),
        ("more", 1, "expected the fields dataset, model"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path, field, value, message):
    write_json(tmp_path / "graph.json", describe_graph(make_plans(), "2d", "mednca"))
    contents = json.loads((tmp_path / "graph.json").read_text())
    (tmp_path / "graph.json").write_text(json.dumps({**contents, field: value}))
    with pytest.raises(InputError) as caught:
        read_description(tmp_path / "graph.json")
    assert message in str(caught.value) and str(tmp_path / "graph.json") in str(caught.value)


def test_page_says_how_in_the_same_words():
    page = " ".join((ROOT / "docs" / "reference" / "onnx.md").read_text(encoding="utf-8").split())
    assert all(step in page for step in HOW)
