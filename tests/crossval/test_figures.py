"""The comparison's box plot: a model has its colour, a class has its own."""

import numpy as np
from PIL import Image

from mednca_pipeline.crossval.collect import collect_results
from mednca_pipeline.crossval.figures import comparison_figure
from mednca_pipeline.evaluation.colours import colour_of, model_colour

from .made_results import SPLITS


def pixels_of(colour, file):
    wanted = np.round(255 * np.array(colour))
    return int((np.abs(np.asarray(Image.open(file).convert("RGB"), float) - wanted).max(axis=-1) <= 2).sum())


def test_models_and_classes_have_the_colours_of_all_pictures(results, tmp_path):
    models = collect_results(results, SPLITS[:2])
    comparison_figure(tmp_path / "plain.png", "Dataset004_Hippocampus", models)
    comparison_figure(tmp_path / "classes.png", "Dataset004_Hippocampus", models, {"organ": colour_of(2)})
    for name in ("mednca_2d", "unet_small_2d"):
        assert pixels_of(model_colour(name), tmp_path / "plain.png") > 100
    assert pixels_of(colour_of(2), tmp_path / "plain.png") == 0 < pixels_of(colour_of(2), tmp_path / "classes.png")
