"""The writer of bundles: what predicts is in them, and nothing else; the same bytes for the same model."""

import os
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import pytest

from mednca_pipeline.deploy.bundle import prediction_plans, write_bundle
from mednca_pipeline.deploy.card import make_card
from mednca_pipeline.deploy.half_precision import rounded
from mednca_pipeline.deploy.onnx_description import GraphDescription
from mednca_pipeline.inference.bundle_model import BundleModel
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.plans.plans import Decision
from mednca_pipeline.results.model_card import DataFacts
from mednca_pipeline.runtime.bundle import MANIFEST
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.records import from_dict
from mednca_pipeline.runtime.weights import read_weights

from ..inference.tiny_model import SPACING, make_image, make_plans, with_regions
from .models import SECRETS, validated_model

DATA = DataFacts("Two blobs", "CC0", "Nobody 2026", 6)


def export(model, out, folds=(0, 1), weights="float32") -> BundleModel:
    return write_bundle(model, folds, weights, make_card(model, folds, DATA), out)


@pytest.fixture
def model(tmp_path):
    return validated_model(tmp_path / "workspace")


@pytest.mark.parametrize(
    ("name", "config", "options"),
    [
        ("mednca", "2d", PredictionOptions()),
        ("mednca", "3d", PredictionOptions(runs=4)),
        ("mednca", "2d", PredictionOptions(everywhere=True, postprocess=False)),
        ("mednca_paper", "2d", PredictionOptions()),
        ("unet_small", "3d", PredictionOptions()),
    ],
)
def test_a_bundle_in_float32_predicts_as_its_folder_bit_for_bit(tmp_path, name, config, options):
    model = validated_model(tmp_path, model=name, config=config)
    made = export(model, tmp_path / "a.mednca")
    image = make_image()[None]
    expected = Predictor.from_folder(model.path, None, options)
    found = Predictor.from_bundle(made.path, None, options)
    assert found.describe() == expected.describe() and found.standing == expected.standing
    first, second = (each.predict(image, SPACING) for each in (expected, found))
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.maps.mean, second.maps.mean)
    assert (first.flag, first.reason, first.quality) == (second.flag, second.reason, second.quality)


def test_regions_stay_regions(tmp_path):
    plans = with_regions(make_plans())
    model = validated_model(tmp_path, replace(plans, components={}))
    model.folder.postprocessing_file.unlink()
    made = export(model, tmp_path / "a.mednca")
    assert made.plans.labels == plans.labels and made.components() == {}


def test_equal_models_make_equal_bytes(tmp_path, model):
    first = export(model, tmp_path / "a.mednca").path.read_bytes()
    copied = tmp_path / "elsewhere" / "copy"
    shutil.copytree(model.path, copied)
    for file in copied.rglob("*"):
        os.utime(file, (1e9, 1e9))
    second = export(type(model).open(copied), tmp_path / "b.mednca", weights="float32").path.read_bytes()
    assert first == second
    with zipfile.ZipFile(tmp_path / "a.mednca") as archive:
        infos = archive.infolist()
        assert archive.testzip() is None
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    names = [info.filename for info in infos]
    assert names[0] == MANIFEST and names[1:] == sorted(names[1:])


def test_no_case_place_or_machine_is_in_it(tmp_path):
    decision = Decision("2d", "steps", "3 2", "as case doe_jane_00 needs")
    plans = replace(make_plans(), decisions=(decision,), overrides={"2d.steps": "/home/alice"})
    made = export(validated_model(tmp_path, plans), tmp_path / "a.mednca")
    everything = b"".join(made.bundle.read(name) for name in made.bundle.manifest.members)
    everything += made.path.read_bytes()
    for secret in (*SECRETS, str(tmp_path), "tmp-"):
        assert secret.encode() not in everything
    assert b"Two blobs" in everything  # what is there to be told


def test_plans_have_only_what_predicts():
    plans = make_plans()
    kept = prediction_plans(plans, "3d", "unet_small")
    assert list(kept.configs) == ["3d"] and list(kept.configs["3d"].models) == ["unet_small"]
    assert kept.default_config == "3d" and kept.decisions == ()
    assert kept.digest("3d", "unet_small") == plans.digest("3d", "unet_small")


def test_weights_in_float16_are_the_rounded_ones(tmp_path, model):
    made = export(model, tmp_path / "a.mednca", weights="float16")
    assert made.bundle.manifest.weights == "float16"
    for fold in (0, 1):
        stored, original = made.weights(fold).arrays, read_weights(model.folder.fold(fold).weights).arrays
        assert stored.keys() == original.keys()
        for name, array in original.items():
            assert stored[name].dtype == np.float32
            np.testing.assert_array_equal(stored[name], rounded(array).astype(np.float32))
    whole = export(model, tmp_path / "b.mednca").path.stat().st_size
    weights = [made.bundle.manifest.members[f"fold_{fold}/final.safetensors"].bytes for fold in (0, 1)]
    assert whole - made.path.stat().st_size > 0.8 * sum(weights)


def test_an_unpacked_bundle_is_a_model_folder(tmp_path, model):
    """In float16, too; what is missing is how the folds were trained."""
    made = export(model, tmp_path / "a.mednca", weights="float16")
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(tmp_path / "unpacked")
    found = read_weights(tmp_path / "unpacked" / "fold_1" / "final.safetensors").arrays
    for name, array in made.weights(1).arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_some_folds(tmp_path, model):
    made = export(model, tmp_path / "a.mednca", folds=(1,))
    assert made.trained_folds() == (1,) and list(made.card.folds) == ["1"]
    assert made.card.measures.cases == 3  # of this fold
    assert made.standing() == model.standing() and made.standing().validation.cases == 6  # of the model
    with pytest.raises(InputError, match="expected final weights of fold 0, found 1"):
        Predictor.from_bundle(made.path, [0])


def test_the_graph_takes_the_weights_of_the_bundle(tmp_path, model):
    made = export(model, tmp_path / "a.mednca")
    graph = onnx.load_from_string(made.bundle.read("network.onnx"))
    inputs = {
        given.name: tuple(side.dim_value for side in given.type.tensor_type.shape.dim) for given in graph.graph.input
    }
    inputs.pop("image")
    assert inputs == {name: array.shape for name, array in made.weights(0).arrays.items()}
    description = from_dict(GraphDescription, made.bundle.json("network.json"))
    assert description.components == made.components() == {"anterior": 2}
    assert "network.onnx" not in export(validated_model(tmp_path, model="unet"), tmp_path / "b.mednca").bundle


def test_what_is_no_bundle_is_not_overwritten(tmp_path, model):
    out = tmp_path / "a.mednca"
    out.write_bytes(b"a thesis")
    with pytest.raises(InputError, match="expected a new file, or a bundle to replace"):
        export(model, out)
    assert out.read_bytes() == b"a thesis"
    out.unlink()
    out.mkdir()
    with pytest.raises(InputError, match="found a folder"):
        export(model, out)
    out.rmdir()
    small = export(model, out, folds=(0,)).path.read_bytes()
    assert export(model, out).path.read_bytes() != small
    assert [file.name for file in tmp_path.iterdir() if "tmp" in file.name] == []


def test_folds_of_other_plans_are_refused_and_nothing_is_written(tmp_path, model):
    run = model.folder.fold(1).run()
    model.folder.fold(1).write_run(replace(run, digest="0" * 16))
    with pytest.raises(InputError, match="digest 0000"):
        export(model, tmp_path / "a.mednca")
    assert not (tmp_path / "a.mednca").exists()
