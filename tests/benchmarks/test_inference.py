"""The benchmark of prediction has a model that the commands accept, whatever the plan has become."""

from benchmarks import inference
from mednca_pipeline.inference.batch import Settings
from mednca_pipeline.models.registry import read_plans


def test_its_model_is_the_planned_network_in_five_folds(tmp_path):
    folder = inference.model_folder(tmp_path)
    predictor = Settings(model_folders=(folder,), device="cpu").load()
    assert predictor.plans == read_plans(inference.PLANS)
    assert "folds 0 1 2 3 4" in predictor.describe()
