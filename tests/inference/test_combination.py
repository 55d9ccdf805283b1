"""Several models averaged: against the hand-made mean of their maps, what they share, and what is refused."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.cli.predict import main
from mednca_pipeline.inference.combination import Combination
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.inference.trained import find_models
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.images import read_image
from mednca_pipeline.runtime.quality import Standing, Threshold, Validation
from mednca_pipeline.workspace import Workspace

from .tiny_model import DATASET, SPACING, make_image, make_plans, save_model, two_dimensional, with_regions, write_image


def sliced_otherwise():
    """The 2D configuration slices along another axis, at another spacing."""
    plans = make_plans()
    config = plans.configs["2d"]
    steps = replace(config.preprocessing, axis_order=(2, 0, 1), spacing_mm=(None, 1.3, 0.9))
    return replace(plans, configs={**plans.configs, "2d": replace(config, preprocessing=steps)})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two configurations of three folds in all, and a UNet."""
    root = tmp_path_factory.mktemp("models")
    return (
        save_model(root, sliced_otherwise(), folds=(0, 1)),
        save_model(root, make_plans(), config="3d", folds=(2,)),
        save_model(root, make_plans(), model="unet_small", folds=(0,)),
    )


@pytest.fixture(scope="module")
def image():
    cropped = np.zeros((1, 7, 16, 12), np.float32)  # zeros around are cut away and restored
    cropped[:, 1:6, 1:15, :11] = make_image()
    return cropped


def mean_of_both(folders, image):
    each = [Predictor.from_folder(folder).predict(image, SPACING).probabilities for folder in folders]
    return (each[0].astype(float) + each[1]) / 2


def test_two_configurations_are_averaged_in_the_images_own_geometry(folders, image):
    expected = mean_of_both(folders[:2], image)
    prediction = Combination([Predictor.from_folder(folder) for folder in folders[:2]]).predict(image, SPACING)
    assert prediction.labels.shape == image.shape[1:]
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    decided = np.sort(expected, axis=0)
    decided = decided[-1] - decided[-2] > 1e-5
    np.testing.assert_array_equal(prediction.labels[decided], expected.argmax(axis=0)[decided])
    assert decided.mean() > 0.99 and len(np.unique(prediction.labels)) == 3
    assert [name for name, _ in prediction.probability_maps()] == ["background", "anterior", "posterior"]


def test_regions_are_averaged_before_they_are_painted(tmp_path, image):
    folders = [save_model(tmp_path, with_regions(make_plans()), config=name, folds=(0,)) for name in ("2d", "3d")]
    whole, posterior = mean_of_both(folders, image)
    prediction = Combination([Predictor.from_folder(folder) for folder in folders]).predict(image, SPACING)
    np.testing.assert_array_equal(prediction.labels, np.where(posterior > 0.5, 2, np.where(whole > 0.5, 1, 0)))
    assert set(np.unique(prediction.labels)) >= {0, 1}


def test_variance_is_that_between_models_and_within_them(folders, image):
    predictors = [Predictor.from_folder(folder) for folder in folders[:2]]
    maps = np.array([each.predict(image, SPACING).probabilities for each in predictors], float)
    own = [each.predict(image, SPACING, with_variance=True).variance for each in predictors]
    assert own[0].max() > 1e-4 and not own[1].any()  # two folds, one fold
    found = Combination(predictors).predict(image, SPACING, with_variance=True)
    np.testing.assert_allclose(found.variance, own[0] / 2 + maps.var(axis=0).sum(axis=0), atol=1e-5)
    with pytest.raises(ValueError, match="not asked for"):
        _ = Combination(predictors).predict(image, SPACING).variance


def test_score_and_threshold_are_of_the_first_model_that_has_a_score(tmp_path, folders, image):
    nca = save_model(tmp_path, make_plans(), folds=(0,))
    score = Predictor.from_folder(nca).predict(image, SPACING).quality
    threshold = {"value": score["foreground"] * 0.99, "rule": "by hand"}
    digest = make_plans().digest("2d", "mednca")
    stored = {"schema": 3, "digest": digest, "folds": [0], "validation": {"dice": 0.9, "cases": 5}}
    write_json(nca / "quality.json", {**stored, "threshold": threshold})
    members = [Predictor.from_folder(folder) for folder in (folders[2], nca, folders[1])]  # the UNet has none
    prediction = Combination(members).predict(image, SPACING)
    assert prediction.quality == score and prediction.flag == "uncalibrated"  # the others were never validated
    for predictor, dice in zip(members, (0.8, 0.9, 0.2), strict=True):
        predictor.standing = replace(predictor.standing, validation=Validation(dice, 5))
    assert Combination(members[:2]).standing == Standing(Validation(0.8, 5), Threshold(**threshold))
    assert Combination(members).standing.validation.dice == 0.2
    assert Combination(members).predict(image, SPACING).flag == "review"
    members[1].standing = replace(members[1].standing, threshold=Threshold(1.0, "by hand"))
    assert Combination(members).predict(image, SPACING).flag == "unproven"
    assert Combination(members[:2]).predict(image, SPACING).flag == "ok"
    unscored = [Predictor.from_folder(folder, options=PredictionOptions(quality=False)) for folder in folders]
    assert Combination(unscored).predict(image, SPACING).flag == "not available"


def test_the_first_plans_components_are_kept_unless_refused(tmp_path, image):
    plans = replace(make_plans(), components={"anterior": 1})
    members = [Predictor.from_folder(save_model(tmp_path, plans, config=name, folds=(0,))) for name in ("2d", "3d")]
    kept, raw = Combination(members), Combination(members, postprocess=False)
    assert kept.describe() == (
        f"{DATASET} mednca_2d, fold 0 + {DATASET} mednca_3d, fold 0, keeping 1 component of anterior"
    )
    ((name, islands),) = ((lost.name, lost.islands) for lost in kept.predict(image, SPACING).removed)
    assert name == "anterior" and islands > 0
    assert raw.predict(image, SPACING).removed == () and "keeping" not in raw.describe()


def test_models_of_other_labels_or_channels_are_refused(tmp_path, folders):
    first = Predictor.from_folder(folders[0])
    regions = Predictor.from_folder(save_model(tmp_path / "regions", with_regions(make_plans()), folds=(0,)))
    with pytest.raises(InputError, match=r"expected the labels anterior \(1\), posterior \(2\).*found whole \(1 2\)"):
        Combination([first, regions])
    channels = Predictor.from_folder(save_model(tmp_path / "channels", make_plans(channels=2), folds=(0,)))
    with pytest.raises(InputError, match="expected the channels channel0, as of .*found channel0, channel1"):
        Combination([first, channels])


def test_models_are_named_by_model_by_configuration_and_by_folder(tmp_path, folders):
    workspace = Workspace(folders[0].parents[2])
    elsewhere = save_model(tmp_path, make_plans(), model="mednca_paper", folds=(0,))
    names = ["unet_small", "mednca_3d", str(elsewhere)]
    found = find_models(workspace, None, names, None)
    assert [(model.model, model.config, model.folder.path) for model in found] == [
        ("unet_small", "2d", folders[2]),
        ("mednca", "3d", folders[1]),
        ("mednca_paper", "2d", elsewhere),
    ]
    for names, config, message in (
        (["mednca", "mednca_2d"], None, "expected each model once"),
        (["mednca_2d"], "3d", "expected configuration 3d, as --config says, found 2d"),
        ([str(tmp_path / "mednca_2d")], None, "found no plans.json in it"),
        ([str(tmp_path)], None, "found no model of this version"),
        (["unett"], None, r"-m unett: expected one of mednca, .* mednca_models lists"),
    ):
        with pytest.raises(InputError, match=message):
            find_models(workspace, None, names, config)


def test_command_averages_several_models(tmp_path, folders, capsys):
    source = write_image(tmp_path / "in" / "a_0000.nii.gz", make_image())
    place = ["--root", str(folders[0].parents[2]), "-i", str(source), "-o", str(tmp_path / "out")]
    models = ["-m", "mednca", str(folders[1])]
    assert main([*place, *models, "--save_probabilities", "--save_variance"]) == 0
    image = read_image(source)
    members = [Predictor.from_folder(folder) for folder in folders[:2]]
    expected = Combination(members).predict(image.array, image.spacing_mm, with_variance=True)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.nii.gz").array[0], expected.labels)
    for index, name in enumerate(("background", "anterior", "posterior")):
        written = read_image(tmp_path / "out" / f"a_probabilities_{name}.nii.gz").array[0]
        np.testing.assert_allclose(written, expected.probabilities[index], atol=1e-6)
    np.testing.assert_allclose(read_image(tmp_path / "out/a_variance.nii.gz").array[0], expected.variance, atol=1e-6)
    with (tmp_path / "out" / "quality.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["made_with"] == f"{DATASET} mednca_2d, folds 0 1 + {DATASET} mednca_3d, fold 2"
    assert float(row["quality_foreground"]) == pytest.approx(expected.quality["foreground"], abs=1e-4)
    capsys.readouterr()
    for options, message in (("--fast", "one pass of one model"), ("--folds 0", "mednca_3d: expected final weights")):
        assert main([*place, *models, *options.split()]) == 2
        assert message in capsys.readouterr().err


def test_workers_average_two_dimensional_images(tmp_path):
    plans = two_dimensional(make_plans())
    folders = [save_model(tmp_path, plans, model, folds=(0,)) for model in ("mednca", "unet_small")]
    pixels = np.clip(make_image(shape=(1, 21, 13))[0], 0, 255).astype(np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    place = ["--root", str(tmp_path), "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-np", "1"]
    assert main([*place, "-m", "mednca", "unet_small"]) == 0
    image = read_image(tmp_path / "in" / "a.png")
    each = [Predictor.from_folder(folder).predict(image.array, image.spacing_mm).probabilities for folder in folders]
    labels = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    np.testing.assert_array_equal(labels, np.mean(each, axis=0).argmax(axis=0))
    assert len(np.unique(labels)) > 1
