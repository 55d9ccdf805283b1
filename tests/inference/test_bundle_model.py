"""Bundles whose zip and sums are right, and whose parts are not: a forger can make these."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from mednca_pipeline.inference.bundle_model import BundleModel
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.errors import InputError

from ..deploy.models import validated_model
from ..deploy.test_bundle import export
from ..runtime.bundles import altered
from .tiny_model import SPACING, make_image


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return export(validated_model(folder), folder / "a.mednca").path


def changed(bundle, tmp_path, name, change):
    """The bundle with a JSON member that `change` was applied to."""
    values = BundleModel.open(bundle).bundle.json(name)
    change(values)
    return altered(bundle, tmp_path / "b.mednca", {name: json.dumps(values).encode()})


def test_what_is_in_it(bundle):
    model = BundleModel.open(bundle)
    assert (model.model, model.config, model.trained_folds()) == ("mednca", "2d", (0, 1))
    assert model.components() == {"anterior": 2}
    assert model.standing().validation.cases == 6 and model.standing().threshold is not None


@pytest.mark.parametrize("name", ["model.json", "plans.json", "quality.json", "postprocessing.json", "card.json"])
def test_a_part_that_is_missing_or_damaged_is_named(bundle, tmp_path, name):
    for content in (None, b"", b"\xff", b"[]", b"{}", b"[" * 10_000, b'{"schema": 99}', b'{"schema": 1, "more": 1}'):
        with pytest.raises(InputError, match=rf"b\.mednca/{name}"):
            BundleModel.open(altered(bundle, tmp_path / "b.mednca", {name: content}))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.json", lambda values: values.update(model="other"), "expected one of mednca"),
        ("model.json", lambda values: values.update(model="unet"), "model: expected one of mednca, found 'unet'"),
        ("model.json", lambda values: values.update(config="3d"), "3d"),
        ("model.json", lambda values: values.update(config="../.."), "without slashes"),
        (
            "model.json",
            lambda values: values.update(model="", config="", members=["a", "b"]),
            "expected one of mednca",
        ),
        ("plans.json", lambda values: values["configs"]["2d"].update(image_size=[7, 7]), "the digest .* of the plans"),
        ("quality.json", lambda values: values.update(digest="x"), "quality.json: expected the digest"),
        ("quality.json", lambda values: values["validation"].update(dice="good"), "validation.dice: expected a number"),
        ("postprocessing.json", lambda values: values.update(components={"liver": 1}), "expected classes of anterior"),
        (
            "postprocessing.json",
            lambda values: values.update(components={"anterior": 0}),
            "components.anterior: expected",
        ),
        ("card.json", lambda values: values["folds"].pop("1"), "expected the folds 0, 1"),
        ("card.json", lambda values: values["data"].update(licence="\x1b[2J"), "without control characters"),
        ("card.json", lambda values: values["measures"]["sd"].pop("anterior"), "mean and sd of the same classes"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(bundle, tmp_path, name, change, message):
    with pytest.raises(InputError, match=message):
        BundleModel.open(changed(bundle, tmp_path, name, change))


WEIGHTS = "fold_0/final.safetensors"


def weights_of(bundle):
    return dict(BundleModel.open(bundle).weights(0).arrays)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda arrays: b"\x80\x04\x95pickle", "expected a safetensors file"),
        (lambda arrays: (2**63).to_bytes(8, "little") + b"{}", "expected a safetensors file"),
        (lambda arrays: save({name: np.full_like(array, np.nan) for name, array in arrays.items()}), "finite numbers"),
        (lambda arrays: save({name: array.astype(np.int8) for name, array in arrays.items()}), "float32 or float16"),
        (lambda arrays: save({name: array[:1] for name, array in arrays.items()}), "another architecture"),
        (lambda arrays: save({}), "another architecture"),
    ],
)
def test_weights_that_are_none_are_refused(bundle, tmp_path, make, message):
    forged = altered(bundle, tmp_path / "b.mednca", {WEIGHTS: make(weights_of(bundle))})
    with pytest.raises(InputError, match=message) as caught:
        Predictor.from_bundle(forged)
    assert f"b.mednca/{WEIGHTS}" in caught.value.where
    assert Predictor.from_bundle(forged, [1]).networks.keys() == {1}


def test_folds_have_their_names(bundle, tmp_path):
    content = BundleModel.open(bundle).bundle.read(WEIGHTS)
    for name in (
        "fold_x/final.safetensors",
        "fold_2/best.safetensors",
        "x.safetensors",
        "fold_00/final.safetensors",
    ):
        with pytest.raises(InputError):
            BundleModel.open(altered(bundle, tmp_path / "b.mednca", {name: content}))
    none = {"fold_0/final.safetensors": None, "fold_1/final.safetensors": None}
    with pytest.raises(InputError, match="expected the weights of at least one fold"):
        BundleModel.open(altered(bundle, tmp_path / "b.mednca", none))


def test_a_plan_that_wants_all_memory_is_refused_before_it_is_taken(tmp_path):
    """Sides that small images are padded to."""
    from dataclasses import replace

    from .tiny_model import make_plans

    plans = make_plans()
    config = replace(plans.configs["2d"], image_size=(60_000, 60_000))
    plans = replace(plans, configs={**plans.configs, "2d": config})
    made = export(validated_model(tmp_path, plans), tmp_path / "a.mednca")
    predictor = Predictor.from_bundle(made.path, options=PredictionOptions(memory_bytes=10**9))
    with pytest.raises(InputError, match="Expected an image that needs at most 1 GB"):
        predictor.predict(make_image()[None], SPACING)
