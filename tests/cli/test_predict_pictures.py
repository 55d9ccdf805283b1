"""mednca_predict: two-dimensional images, in grey and in colour."""

from dataclasses import replace

import numpy as np
from PIL import Image

from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.runtime.images import read_image

from ..inference.tiny_model import make_image, make_plans, save_model, two_dimensional
from .predicting import predict, rows


def test_two_dimensional_images_keep_their_format(tmp_path):
    plans = two_dimensional(make_plans())
    save_model(tmp_path, plans, folds=(0,))
    (tmp_path / "in").mkdir()
    pixels = np.clip(make_image(shape=(1, 21, 13))[0], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in" / "a b.png")
    Image.fromarray(pixels).save(tmp_path / "in" / "photo.jpg", quality=95)
    assert predict(tmp_path, tmp_path / "in", tmp_path / "out", "--save_probabilities") == 0
    labels = np.asarray(Image.open(tmp_path / "out" / "a b.png"))
    assert labels.shape == (21, 13) and labels.dtype == np.uint8 and set(np.unique(labels)) <= {0, 1, 2}
    assert (tmp_path / "out" / "photo.png").is_file()
    image = read_image(tmp_path / "in" / "a b.png")
    predictor = Predictor.from_folder(tmp_path / "results" / plans.dataset / "mednca_2d")
    expected = predictor.predict(image.array, image.spacing_mm)
    np.testing.assert_array_equal(labels, expected.labels)
    written = np.asarray(Image.open(tmp_path / "out" / "a b_probabilities_anterior.tif"))
    np.testing.assert_allclose(written, expected.probabilities[1], atol=1e-6)
    row = rows(tmp_path / "out")["a b.png"]
    assert int(row["pixels_posterior"]) == (labels == 2).sum() and row["warnings"] == ""


def _pictures(folder, **arrays):
    folder.mkdir()
    for name, array in arrays.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    return folder


def test_a_colour_picture_is_read_as_grey_by_a_model_of_one_channel(tmp_path):
    save_model(tmp_path, two_dimensional(make_plans()), folds=(0,))
    grey = np.clip(make_image(shape=(1, 21, 13))[0], 0, 255).astype(np.uint8)
    equal = np.stack([grey] * 3, axis=-1)
    marked = equal.copy()
    marked[0, 0] = (255, 0, 0)
    as_grey = grey.copy()
    as_grey[0, 0] = 76  # luma of red: 0.299 * 255
    source = _pictures(tmp_path / "in", grey=grey, equal=equal, marked=marked, as_grey=as_grey)
    assert predict(tmp_path, source, tmp_path / "out") == 0
    found = {
        name: read_image(tmp_path / "out" / f"{name}.png").array for name in ("grey", "equal", "marked", "as_grey")
    }
    assert len(np.unique(found["grey"])) > 1
    np.testing.assert_array_equal(found["equal"], found["grey"])
    np.testing.assert_array_equal(found["marked"], found["as_grey"])
    warnings = {name: rows(tmp_path / "out")[f"{name}.png"]["warnings"] for name in found}
    assert warnings["grey"] == warnings["as_grey"] == ""
    assert warnings["equal"] == "stored in colour, read as grey"
    assert warnings["marked"] == "stored in colour, read as grey: its colours, which differ by up to 255, are lost"


def test_a_grey_picture_is_read_as_colour_by_a_model_of_colours(tmp_path):
    plans = replace(two_dimensional(make_plans(channels=3)), channel_names=("R", "G", "B"))
    save_model(tmp_path, plans, folds=(0,))
    grey = np.clip(make_image(shape=(1, 21, 13))[0], 0, 255).astype(np.uint8)
    source = _pictures(tmp_path / "in", grey=grey, colour=np.stack([grey] * 3, axis=-1))
    assert predict(tmp_path, source, tmp_path / "out") == 0
    found = [read_image(tmp_path / "out" / f"{name}.png").array for name in ("grey", "colour")]
    assert len(np.unique(found[1])) > 1
    np.testing.assert_array_equal(*found)
    assert rows(tmp_path / "out")["grey.png"]["warnings"] == "stored in grey, read as colour"
    assert rows(tmp_path / "out")["colour.png"]["warnings"] == ""
