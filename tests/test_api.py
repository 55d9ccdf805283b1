"""The package's door: everything in it works together on a phantom, from the import to the written file."""

import subprocess
import sys

import numpy as np
import pytest

import mednca_pipeline
from mednca_pipeline import InputError, Predictor, evaluate, plan, predict, read_image, train, write_labels
from mednca_pipeline.phantom import write_phantom_dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    write_phantom_dataset(folder / "raw" / "Dataset001_Phantom", n_train=5, n_test=2, size=(10, 24, 24))
    plan(1, folder, configs=("2d",))
    train(1, 0, folder, iterations=4, workers=0)
    return folder


def test_plan_train_predict_and_evaluate(root, tmp_path):
    model, raw = root / "results" / "Dataset001_Phantom" / "mednca_2d", root / "raw" / "Dataset001_Phantom"
    outcome = predict(raw / "imagesTs", tmp_path / "out", [model])
    assert len(outcome.written) == 2 and not outcome.failures
    summary = evaluate(tmp_path / "out", raw / "labelsTs")
    assert len(summary.cases) == 2 and summary.units.distance == "mm"


def test_predictor_reads_and_writes_files(root, tmp_path):
    predictor = Predictor.from_folder(root / "results" / "Dataset001_Phantom" / "mednca_2d")
    file = sorted((root / "raw" / "Dataset001_Phantom" / "imagesTs").iterdir())[0]
    image = read_image([file])
    labels = predictor.predict(image.array, image.spacing_mm).labels
    write_labels(tmp_path / "labels.nii.gz", labels, image.geometry)
    np.testing.assert_array_equal(read_image([tmp_path / "labels.nii.gz"]).array[0], labels)


def test_errors_are_input_errors(root, tmp_path):
    with pytest.raises(InputError, match="Fold 7|fold 7"):
        train(1, 7, root)
    with pytest.raises(InputError, match="at least one model"):
        predict(tmp_path, tmp_path / "out", [])


def test_all_is_there_and_importing_the_package_loads_nothing():
    assert all(getattr(mednca_pipeline, name) is not None for name in mednca_pipeline.__all__)
    assert set(mednca_pipeline.__all__) <= set(dir(mednca_pipeline))
    with pytest.raises(AttributeError):
        mednca_pipeline.nothing  # noqa: B018
    code = "import sys, mednca_pipeline; print('numpy' in sys.modules, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 2
