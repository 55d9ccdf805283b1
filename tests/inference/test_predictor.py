"""The predictor in memory: masks, averaging, quality, geometry of the result, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from mednca_pipeline.inference import predictor as predictor_module
from mednca_pipeline.inference.light import LightNetwork
from mednca_pipeline.inference.network import Asked
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import LoadedModel, Predictor
from mednca_pipeline.inference.torch_nca import TorchNCA
from mednca_pipeline.results.postprocessing import Postprocessing
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.fire_masks import RandomRun, fire_masks
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.preprocessing import preprocess_image
from mednca_pipeline.runtime.quality import Deviation
from mednca_pipeline.runtime.weights import read_weights

from .tiny_model import SHAPE, SPACING, make_image, make_plans, save_model, with_regions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"), make_plans(), folds=(0, 1))


@pytest.fixture(scope="module")
def image():
    return make_image()[None]


def networks_see(predictor, image):
    """The image as the predictor's networks see it, in one part."""
    preprocessed, _ = preprocess_image(image, SPACING, predictor.plans.config("2d").preprocessing)
    (seen,) = next(iter(predictor.networks.values())).see(preprocessed)
    return seen


def test_segments_in_the_images_own_shape_with_more_than_one_label(folder, image):
    prediction = Predictor.from_folder(folder).predict(image, SPACING)
    assert prediction.labels.shape == SHAPE
    assert len(np.unique(prediction.labels)) > 1
    assert prediction.probabilities.shape == (3, *SHAPE)
    assert prediction.probabilities.sum(axis=0) == pytest.approx(np.ones(SHAPE), abs=1e-4)
    assert (prediction.probabilities.argmax(axis=0) == prediction.labels).mean() > 0.999


@pytest.mark.parametrize("everywhere", [False, True])
def test_quality_and_mean_are_those_of_the_single_runs(folder, image, everywhere):
    """Two random runs of each fold; those of the first are compared with the expected update."""
    predictor = Predictor.from_folder(folder, options=PredictionOptions(runs=4, everywhere=everywhere))
    prediction = predictor.predict(image, SPACING, with_variance=True)
    runs, scores = [], []
    for network in predictor.networks.values():
        seen, deviation = networks_see(predictor, image), Deviation(predictor.plans.labels)
        runs.append(list(network.probabilities(seen, Asked(runs=2), deviation)))
        scores.append(deviation.scores())
    runs = np.array(runs, dtype=float)  # (folds, runs, K, S, H, W)
    for name in ("anterior", "foreground"):
        assert prediction.quality[name] == pytest.approx(scores[0][name], rel=1e-4)
        assert prediction.quality[name] > 0.001
    assert prediction.maps.mean == pytest.approx(runs.mean(axis=(0, 1)), abs=1e-5)
    assert prediction.maps.grid_variance == pytest.approx(
        runs.reshape(4, *runs.shape[2:]).var(axis=0).sum(axis=0), abs=1e-5
    )


def test_the_default_is_one_deterministic_pass_of_each_fold(folder, image):
    predictor = Predictor.from_folder(folder)
    prediction = predictor.predict(image, SPACING)
    passes = []
    for network in predictor.networks.values():
        (probabilities,) = network.probabilities(
            networks_see(predictor, image), Asked(quality=False), Deviation(predictor.plans.labels)
        )
        passes.append(probabilities)
    np.testing.assert_allclose(prediction.maps.mean, np.mean(passes, axis=0), atol=1e-6)
    other = Predictor.from_folder(folder, options=PredictionOptions(seed=1)).predict(image, SPACING)
    # The seed is of the random run for the quality score.
    np.testing.assert_array_equal(prediction.maps.mean, other.maps.mean)
    assert prediction.quality != other.quality
    with pytest.raises(ValueError, match="not asked for"):
        _ = prediction.variance


def test_the_quality_score_can_be_left_out(folder, image):
    prediction = Predictor.from_folder(folder, options=PredictionOptions(quality=False)).predict(image, SPACING)
    assert prediction.quality == {} and prediction.flag == "not available"
    np.testing.assert_array_equal(prediction.maps.mean, Predictor.from_folder(folder).predict(image, SPACING).maps.mean)


@pytest.mark.parametrize("config", ["2d", "3d"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_numpy_and_torch_predict_the_same(tmp_path, image, config, everywhere, monkeypatch):
    """At the outline against its plain form; everywhere against the outline's fast form with every cell open."""
    plans = make_plans()
    if everywhere:
        chosen = plans.configs[config]
        all_open = replace(chosen.models["mednca"], outline=Outline(eps=1e-9, halo=1))
        configs = {config: chosen.with_model("mednca", all_open)}
        plans = replace(plans, configs=configs, default_config=config)
    folder = save_model(tmp_path, plans, config=config, folds=(0,))
    light = Predictor.from_folder(folder, options=PredictionOptions(runs=2))
    assert isinstance(light.networks[0], LightNetwork)
    weights = folder / "fold_0" / "final.safetensors"
    torch_network = TorchNCA.from_weights(read_weights(weights), plans, "mednca", config, "cpu", everywhere)
    for asked in (Asked(), Asked(runs=2)):
        found, expected = (
            Predictor(LoadedModel(plans, config, "mednca", {0: network}), PredictionOptions(runs=asked.runs)).predict(
                image, SPACING
            )
            for network in (light.networks[0], torch_network)
        )
        np.testing.assert_allclose(found.maps.mean, expected.maps.mean, atol=1e-5)
        if not everywhere:  # which levels are compared depends on the plan
            assert found.quality == pytest.approx(expected.quality, rel=1e-3)


def test_runs_count_over_all_folds_and_round_up(folder, caplog):
    with caplog.at_level("INFO"):
        assert Predictor.from_folder(folder, options=PredictionOptions(runs=5)).asked.runs == 3
    assert "rounded up to 3 per fold" in caplog.text


def test_result_depends_on_the_seed_and_on_nothing_before(folder, image):
    predictor = Predictor.from_folder(folder, options=PredictionOptions(runs=2))
    first = predictor.predict(image, SPACING)
    predictor.predict(make_image(seed=5)[None], SPACING)
    torch.rand(3)
    again = predictor.predict(image, SPACING)
    other = Predictor.from_folder(folder, options=PredictionOptions(runs=2, seed=1)).predict(image, SPACING)
    np.testing.assert_array_equal(first.maps.mean, again.maps.mean)
    assert np.abs(first.maps.mean - other.maps.mean).max() > 1e-3


@pytest.mark.parametrize("config", ["2d", "3d"])
@pytest.mark.parametrize("model", ["mednca", "mednca_paper"])
def test_random_runs_draw_the_specified_masks(tmp_path, config, model, monkeypatch):
    """The masks' grid is that of all slices in 2D, also when the slices go through in several batches."""
    predictor = Predictor.from_folder(save_model(tmp_path, make_plans(), model, config, folds=(0,)))
    network, drawn = predictor.networks[0], []
    monkeypatch.setattr("mednca_pipeline.runtime.network_input.CELLS_PER_BATCH", 16 * 16 * 2)
    for seen in network.see(np.ones((1, 5, 16, 16), np.float32)):
        if model == "mednca":
            cells = np.arange(math.prod(seen.levels[1].shape))
            drawn.append(network._fires(RandomRun(7, 3, 0.5), seen, 1, 2, cells).reshape(2, *seen.levels[1].shape))
        else:
            masks = network.masks(7, 3, seen)
            drawn.append(masks(1, 2, (16, 16) if config == "2d" else (6, 16, 16)).numpy())
    grid = (5, 16, 16) if config == "2d" else (6, 16, 16)
    assert len(drawn) == (3 if config == "2d" else 1)
    masks = np.concatenate(drawn, axis=1)
    np.testing.assert_array_equal(masks.reshape(2, *grid), fire_masks(RandomRun(7, 3, 0.5), 1, range(2), grid))


@pytest.mark.parametrize("model", ["mednca", "mednca_paper"])
def test_batches_of_slices_change_nothing(tmp_path, image, model, monkeypatch):
    folder = save_model(tmp_path, make_plans(), model, folds=(0, 1))
    whole = Predictor.from_folder(folder, options=PredictionOptions(runs=2)).predict(image, SPACING)
    monkeypatch.setattr("mednca_pipeline.runtime.network_input.CELLS_PER_BATCH", 1)
    sliced = Predictor.from_folder(folder, options=PredictionOptions(runs=2)).predict(image, SPACING)
    np.testing.assert_allclose(whole.maps.mean, sliced.maps.mean, atol=1e-5)
    assert whole.quality == pytest.approx(sliced.quality, rel=1e-3)


def test_the_outline_is_computed_in_numpy_and_the_rest_in_torch(folder, tmp_path):
    assert isinstance(Predictor.from_folder(folder).networks[0], LightNetwork)
    assert isinstance(Predictor.from_folder(folder, options=PredictionOptions(everywhere=True)).networks[0], TorchNCA)
    paper = save_model(tmp_path, make_plans(), "mednca_paper", folds=(0,))
    assert isinstance(Predictor.from_folder(paper).networks[0], TorchNCA)


def test_small_image_is_padded_and_cropped_back(folder):
    small = make_image(shape=(3, 5, 4))[None]
    assert Predictor.from_folder(folder, options=PredictionOptions(runs=2)).predict(small, SPACING).labels.shape == (
        3,
        5,
        4,
    )


def test_unet_slides_over_images_larger_than_its_patch_and_has_no_quality(tmp_path, image):
    folder = save_model(tmp_path, make_plans(), model="unet_small", folds=(0,))
    predictor = Predictor.from_folder(folder, options=PredictionOptions(runs=10))
    sizes = []
    predictor.networks[0].module.net.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[2:]))
    prediction = predictor.predict(image, SPACING)
    assert set(sizes) == {(8, 8)} and len(sizes) > 1
    assert predictor.asked.runs == 0 and prediction.quality == {}
    assert prediction.flag == ("not available" if prediction.labels.any() else "empty")


def test_regions_are_written_in_their_order(tmp_path, image):
    folder = save_model(tmp_path, with_regions(make_plans()), folds=(0,))
    prediction = Predictor.from_folder(folder, options=PredictionOptions(runs=2)).predict(image, SPACING)
    whole, posterior = prediction.probabilities
    expected = np.where(posterior > 0.5, 2, np.where(whole > 0.5, 1, 0))
    np.testing.assert_array_equal(prediction.labels, expected)
    assert set(prediction.quality) == {"whole", "posterior", "foreground"}


def test_flag_compares_with_the_threshold(tmp_path, image):
    folder = save_model(tmp_path, make_plans(), folds=(0, 1))
    prediction = Predictor.from_folder(folder).predict(image, SPACING)
    assert prediction.flag == "uncalibrated"
    score, digest = prediction.quality["foreground"], make_plans().digest("2d", "mednca")
    for value, dice, flag in ((1.01, 0.9, "ok"), (0.99, 0.9, "review"), (1.01, 0.2, "unproven"), (0.99, 0.2, "review")):
        validation = {"dice": dice, "cases": 6}
        threshold = {"value": score * value, "rule": "by hand"}
        stored = {"schema": 3, "digest": digest, "folds": [0], "threshold": threshold, "validation": validation}
        write_json(folder / "quality.json", stored)
        assert Predictor.from_folder(folder).predict(image, SPACING).flag == flag


def components_of(labels):
    """Per class."""
    return [label(labels == value, np.ones((3, 3, 3)))[1] for value in (1, 2)]


def test_the_plans_components_are_kept_unless_refused(tmp_path, image):
    raw = Predictor.from_folder(save_model(tmp_path / "old", make_plans()), options=PredictionOptions(runs=2)).predict(
        image, SPACING
    )
    before = components_of(raw.labels)
    assert before[0] > 2, "the random model's segmentation has no stray component to remove"
    assert raw.removed == ()
    folder = save_model(tmp_path, replace(make_plans(), components={"anterior": 2}))
    predictor = Predictor.from_folder(folder, options=PredictionOptions(runs=2))
    kept = predictor.predict(image, SPACING)
    assert components_of(kept.labels) == [2, before[1]]
    assert predictor.describe().endswith("keeping 2 components of anterior")
    ((name, islands, share),) = ((removed.name, removed.islands, removed.share) for removed in kept.removed)
    assert (name, islands) == ("anterior", before[0] - 2)
    assert share == pytest.approx(1 - (kept.labels == 1).sum() / (raw.labels == 1).sum())
    refused = Predictor.from_folder(folder, options=PredictionOptions(runs=2, postprocess=False))
    np.testing.assert_array_equal(raw.labels, refused.predict(image, SPACING).labels)
    assert "keeping" not in refused.describe()
    unet = save_model(tmp_path, replace(make_plans(), components={"anterior": 2}), model="unet_small", folds=(0,))
    assert Predictor.from_folder(unet).components == {"anterior": 2}


def test_what_was_chosen_out_of_fold_goes_before_the_plan(tmp_path, image):
    folder = save_model(tmp_path, replace(make_plans(), components={"anterior": 2}))
    raw = (
        Predictor.from_folder(folder, options=PredictionOptions(runs=2, postprocess=False))
        .predict(image, SPACING)
        .labels
    )
    digest = make_plans().digest("2d", "mednca")
    chosen = {"schema": 1, "classes": ["anterior"], "digest": digest}
    write_json(folder / "postprocessing.json", chosen)
    assert (
        components_of(Predictor.from_folder(folder, options=PredictionOptions(runs=2)).predict(image, SPACING).labels)[
            0
        ]
        == 1
    )
    write_json(folder / "postprocessing.json", Postprocessing({}, {}, (0, 1), digest))
    np.testing.assert_array_equal(
        raw, Predictor.from_folder(folder, options=PredictionOptions(runs=2)).predict(image, SPACING).labels
    )
    write_json(folder / "postprocessing.json", {**chosen, "digest": "chosen for other plans"})
    assert Predictor.from_folder(folder, options=PredictionOptions(runs=2)).components == {"anterior": 2}


@pytest.mark.parametrize(
    ("array", "spacing", "message"),
    [
        (np.ones((2, *SHAPE)), SPACING, "Expected 1 channel"),
        (np.ones((1, 8, 8)), (1.0, 1.0), r"Expected volumes \(z, y, x\).*found one slice of 8 x 8 pixels.*its folder"),
        (np.ones((1, 1, *SHAPE)), (1.0, *SPACING), "Expected volumes"),
        (np.full((1, *SHAPE), np.nan), SPACING, "NaN"),
        (
            np.ones((1, *SHAPE)),
            (2.0, 1.0, 30.0),
            r"x 1\.5 mm, as Dataset004_Tiny was trained on .*found spacing x 30 mm",
        ),
        (np.ones((1, *SHAPE)), (0.1, 1.0, 1.5), r"z 2 mm, as .*found spacing z 0\.1 mm\. Correct the spacing"),
    ],
)
def test_refuses_what_does_not_fit(folder, array, spacing, message):
    with pytest.raises(InputError, match=message):
        Predictor.from_folder(folder).predict(array, spacing)


def test_refuses_a_fold_of_other_plans(tmp_path):
    folder = save_model(tmp_path, make_plans(), folds=(0,))
    write_json(folder / "fold_0" / "run.json", {"schema": 1, "digest": "0" * 16})
    with pytest.raises(InputError, match="never mixed"):
        Predictor.from_folder(folder)


def test_refuses_weights_that_do_not_fit(tmp_path):
    folder = save_model(tmp_path, make_plans(), folds=(0,))
    (folder / "fold_0" / "final.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="expected a safetensors file"):
        Predictor.from_folder(folder)


def test_another_number_of_channels_is_refused_with_fitting_advice(folder, tmp_path):
    with pytest.raises(InputError, match=r"Expected 1 channel \(channel0\).*found 3\. Give the image that has this"):
        Predictor.from_folder(folder).predict(np.ones((3, *SHAPE)), SPACING)
    pair = Predictor.from_folder(save_model(tmp_path, make_plans(channels=2), folds=(0,)))
    with pytest.raises(InputError, match="Expected 2 channels .*found 1.*case_0000 to case_0001"):
        pair.predict(np.ones((1, *SHAPE)), SPACING)


def test_a_prepared_image_is_preprocessed_once_whatever_runs_on_it(tmp_path, image, monkeypatch):
    folder = save_model(tmp_path, make_plans(), folds=(0, 1))
    predictor, calls = Predictor.from_folder(folder), []
    prepare = predictor_module.frame_of
    monkeypatch.setattr(predictor_module, "frame_of", lambda *given: (calls.append(1), prepare(*given))[1])
    prepared = predictor.prepare(image, SPACING)
    both, second = predictor.run(prepared), predictor.run(prepared, folds=[1], runs=3)
    assert len(calls) == 1
    alone = Predictor.from_folder(folder, [1], PredictionOptions(runs=3))
    for found, expected in ((both, Predictor.from_folder(folder)), (second, alone)):
        np.testing.assert_array_equal(found.probabilities, expected.predict(image, SPACING).probabilities)
    with pytest.raises(InputError, match="some of 0, 1, found 5"):
        predictor.run(prepared, folds=[5])
