"""Every real dataset beside the checkout, a small part of it, from the source's own layout to a segmentation."""

import csv
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mednca_pipeline.cli.convert import main as convert
from mednca_pipeline.cli.plan_and_preprocess import main as plan
from mednca_pipeline.cli.predict import main as predict
from mednca_pipeline.cli.train import main as train
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.fingerprint.extract import raw_sha256
from mednca_pipeline.fingerprint.fingerprint import read_fingerprint
from mednca_pipeline.fingerprint.leakage import workspace_splits
from mednca_pipeline.runtime.files import read_json
from mednca_pipeline.workspace import Workspace

pytestmark = pytest.mark.slow

PLANS = Path(__file__).resolve().parents[1] / "plans" / "reference"
SOURCES = {  # converter: dataset, source folder, files of three cases or a few more
    "msd": ("Dataset004_Hippocampus", "Task04_Hippocampus", ("dataset.json", "*Tr/hippocampus_00[134].nii.gz")),
    "promise12": ("Dataset012_PROMISE12", "PROMISE12_resampled", ("*/case0[123].nii.gz",)),
    "busi": (
        "Dataset020_BUSI",
        "BUSI",
        ("benign/benign (10[45])*", "malignant/malignant (1[0-4])*", "normal/normal (11)*"),
    ),
    "chest_xray": ("Dataset021_ChestXray", "ChestXray", ("*/CHNCXR_00[025][18]_*",)),
}


def some_of(source: Path, patterns: tuple[str, ...], target: Path) -> Path:
    """Copies the files that fit the patterns; of volumes the eight slices in the middle, for speed."""
    for pattern in patterns:
        for file in source.glob(pattern):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".gz":
                image = nib.load(file)
                middle = image.shape[2] // 2
                nib.save(image.slicer[:, :, middle - 4 : middle + 4], copy)
            else:
                shutil.copy(file, copy)
    return target


def geometry(file: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape, and the affine of a volume."""
    if file.suffix == ".png":
        with Image.open(file) as image:
            return image.size, np.eye(4)
    image = nib.load(file)
    return image.shape, image.affine


@pytest.mark.parametrize("converter", SOURCES)
def test_a_real_dataset_goes_the_whole_way(tmp_path, shared_data, converter):
    name, folder, patterns = SOURCES[converter]
    number = name[7:10]
    place = ("--root", str(tmp_path), "--quiet")
    source = some_of(shared_data / folder, patterns, tmp_path / folder)
    assert convert([converter, "-i", str(source), "-d", number, *place]) == 0
    assert plan(["-d", number, "-np", "0", "--folds", "3", *place]) == 0
    assert train([number, "fold0", "--iterations", "2", "-np", "0", *place]) == 0
    workspace = Workspace(tmp_path)
    dataset = load_dataset(workspace.raw_folder(name))
    image = dataset.training[0].images[0]
    assert predict(["-i", str(image), "-o", str(tmp_path / "out"), "-d", number, "--runs", "2", *place]) == 0
    with open(tmp_path / "out" / "quality.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["case"] == dataset.training[0].name
    (shape, affine), (found_shape, found_affine) = geometry(image), geometry(tmp_path / "out" / row["file"])
    assert found_shape == shape
    np.testing.assert_allclose(found_affine, affine, atol=1e-5)
    (summary,) = workspace.results_folder(name).glob("mednca_*/fold_0/summary.json")
    validated = workspace_splits(workspace, name, [case.name for case in dataset.training])[0].val
    assert tuple(read_json(summary)["cases"]) == validated


@pytest.mark.parametrize("converter", SOURCES)
def test_committed_fingerprints_are_of_the_shared_data(tmp_path, shared_data, converter):
    name, folder, _ = SOURCES[converter]
    arguments = ["-i", str(shared_data / folder), "-d", name[7:10], "--root", str(tmp_path), "--quiet"]
    assert convert([converter, *arguments]) == 0
    dataset = load_dataset(tmp_path / "raw" / name)
    assert raw_sha256(dataset) == read_fingerprint(PLANS / name / "fingerprint.json").raw_sha256
