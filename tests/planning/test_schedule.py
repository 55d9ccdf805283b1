import pytest

from mednca_pipeline.models.registry import MODELS
from mednca_pipeline.planning.schedule import stretch, training_minutes


@pytest.mark.parametrize("size", [(56, 40), (44, 56, 40)])
def test_hippocampus_trains_no_longer_than_30_minutes(size):
    assert all(training_minutes(model, size, 260)["cpu"] <= 30 for model in MODELS)
    assert training_minutes("mednca", size, 260) == {"cpu": 20.0, "cuda": 10.0}


def test_larger_images_and_datasets_train_longer_but_modestly():
    assert stretch((256, 256), 100) == pytest.approx(2.0)  # 16 times the pixels
    assert stretch((64, 64), 8000) == pytest.approx(2.0)  # 16 times the cases
    assert stretch((4096, 4096), 10**6) == 3.0
