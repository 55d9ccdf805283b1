"""The benchmark of predictions: models for larger images, and the table that it writes."""

import numpy as np

from benchmarks import prediction
from mednca_pipeline.inference.predictor import Predictor

from ..inference.tiny_model import make_image, make_plans, save_model, two_dimensional


def test_a_model_for_larger_images_has_more_levels_with_the_finest_levels_weights(tmp_path):
    folder = save_model(tmp_path / "trained", two_dimensional(make_plans()), folds=(0,))
    enlarged = prediction.enlarged_model(folder, tmp_path, 4)
    network = Predictor.from_folder(enlarged, [0]).networks[0]
    assert [level.factor for level in network.plan.levels] == [(8, 8), (4, 4), (2, 2), (1, 1)]
    rules = [level.rule for level in network.nca.levels]
    assert all(np.array_equal(rule.from_state, rules[1].from_state) for rule in rules[1:])
    assert not np.array_equal(rules[0].from_state, rules[1].from_state)
    image = np.kron(make_image(shape=(1, 16, 16))[0], np.ones((4, 4), np.float32))
    assert Predictor.from_folder(enlarged, [0]).predict(image[None], (1.0, 1.0)).labels.shape == (64, 64)


def test_tables_say_what_was_asked_and_what_was_found():
    seconds = {prediction.UNET: 0.2, prediction.SCORED: 0.1, prediction.PLAIN: 0.08}
    seconds |= {prediction.FIVE: 0.3, prediction.OLD: 6.0}
    row = {"dataset": "Dataset004_Hippocampus", "seconds": seconds, "dice": {"default": 0.9, "every cell": 0.8999}}
    table = prediction.table([row])
    assert "| 0.100 (0.50; 0.7) | 0.080 (0.40; 0.5) |" in table and "6.000 (0.050; 0.1)" in table
    rows = [{"side": 512, "seconds": 0.1, "peak_bytes": 1e8}, {"side": 1024, "seconds": 0.23, "peak_bytes": 2e8}]
    assert "| 1024x1024 | 0.230 (2.30) | 200 |" in prediction.scaling_table(rows)
