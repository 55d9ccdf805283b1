import json
import subprocess
import sys

import numpy as np
import pytest

from mednca_pipeline.datasets.check import check_dataset
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.fingerprint import extract
from mednca_pipeline.fingerprint.extract import check_and_extract, raw_sha256
from mednca_pipeline.fingerprint.fingerprint import read_fingerprint, write_fingerprint
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.runtime.images import read_labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("raw") / "Dataset003_Ph\u00e4ntom"
    write_phantom_dataset(made, n_train=4, n_test=1, seed=1, size=(10, 22, 20))
    return made


@pytest.fixture(scope="module")
def fingerprint(folder):
    return check_and_extract(load_dataset(folder))[1]


def test_fingerprint_measures_the_files(folder, fingerprint):
    dataset = load_dataset(folder)
    assert [case.name for case in fingerprint.cases] == sorted(case.name for case in dataset.training)
    for case, measured in zip(dataset.training, fingerprint.cases, strict=True):
        label = read_labels(case.label)
        assert measured.shape == label.array.shape[1:]
        assert measured.spacing_mm == pytest.approx(label.spacing_mm, rel=1e-5)
        volumes = [found.voxels for found in measured.classes.values()]
        assert volumes == [int((label.array == value).sum()) for (value,) in dataset.labels.values]
    assert fingerprint.channel_names == dataset.channel_names
    assert fingerprint.labels == dataset.labels
    assert len(fingerprint.foreground) == len(dataset.channel_names)


def test_workers_and_order_change_nothing(folder, fingerprint, workers):
    seen = []
    report, parallel = check_and_extract(load_dataset(folder), workers, seen.append)
    assert parallel == fingerprint
    dataset = load_dataset(folder)
    assert sorted(seen) == sorted(case.name for case in (*dataset.training, *dataset.test))
    assert report == check_dataset(dataset)  # one reading serves both


def test_file_is_stable_and_read_back(folder, fingerprint, tmp_path):
    write_fingerprint(tmp_path / "a.json", fingerprint)
    write_fingerprint(tmp_path / "b.json", check_and_extract(load_dataset(folder))[1])
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_fingerprint(tmp_path / "a.json") == fingerprint
    assert list(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))) == sorted(
        json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    )


def test_identical_images_are_grouped(tmp_path):
    folder = tmp_path / "Dataset004_Twins"
    write_phantom_dataset(folder, n_train=3, n_test=0, seed=1, size=(8, 20, 20))
    images = sorted((folder / "imagesTr").iterdir())
    images[2].write_bytes(images[0].read_bytes())
    labels = sorted((folder / "labelsTr").iterdir())
    labels[2].write_bytes(labels[0].read_bytes())
    report, found = check_and_extract(load_dataset(folder))
    twins = (found.cases[0].name, found.cases[2].name)
    assert found.identical_images() == (twins,)
    assert [(found.case, found.found) for found in report.findings] == [(twins[0], f"the same image as {twins[1]}")]


def test_raw_digest_changes_with_any_file(tmp_path):
    folder = tmp_path / "Dataset004_Digest"
    write_phantom_dataset(folder, n_train=2, n_test=0, seed=1, size=(8, 20, 20))
    before = raw_sha256(load_dataset(folder))
    assert raw_sha256(load_dataset(folder)) == before
    label = sorted((folder / "labelsTr").iterdir())[0]
    label.write_bytes(label.read_bytes() + b"\0")
    assert raw_sha256(load_dataset(folder)) != before


def test_raw_digest_changes_with_the_voxels_beside_a_header(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    for name in ("imagesTr/a_0000", "labelsTr/a"):
        (tmp_path / name).parent.mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8)), str(tmp_path / f"{name}.mhd"))
    description = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1}, "file_ending": ".mhd"}
    (tmp_path / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    seen = {raw_sha256(load_dataset(tmp_path))}
    for name in ("imagesTr/a_0000", "labelsTr/a"):
        (tmp_path / f"{name}.raw").write_bytes(b"\1" * 24)
        seen.add(raw_sha256(load_dataset(tmp_path)))
    assert len(seen) == 3


def test_fatal_findings_give_no_fingerprint(tmp_path):
    folder = tmp_path / "Dataset004_Broken"
    write_phantom_dataset(folder, n_train=3, n_test=0, seed=1, size=(8, 20, 20))
    broken = sorted((folder / "imagesTr").iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:100])
    report, found = check_and_extract(load_dataset(folder))
    assert found is None
    assert {finding.file.name for finding in report.fatal} == {broken.name}


def test_unexpected_error_names_its_case_and_keeps_its_cause(folder, monkeypatch):
    def fails(*_):
        raise ValueError("something odd")

    monkeypatch.setattr(extract, "case_fingerprint", fails)
    dataset = load_dataset(folder)
    with pytest.raises(RuntimeError, match=f"{dataset.training[0].name}: ValueError: something odd") as caught:
        check_and_extract(dataset)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__cause__.__traceback__ is not None


def test_workers_do_without_torch():
    modules = "mednca_pipeline.fingerprint.extract, mednca_pipeline.planning.planner, mednca_pipeline.planning.run"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8").stdout.strip()
        == "False"
    )


def test_two_dimensional_colour_images_are_measured(tmp_path):
    from PIL import Image

    folder = tmp_path / "Dataset005_Colour"
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    rng = np.random.default_rng(0)
    for index in range(2):
        Image.fromarray(rng.integers(1, 255, (20, 30, 3), np.uint8)).save(folder / "imagesTr" / f"c{index}_0000.png")
        mask = np.zeros((20, 30), np.uint8)
        mask[3:9, 5:20] = index  # the first case is empty
        Image.fromarray(mask).save(folder / "labelsTr" / f"c{index}.png")
    description = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": 2,
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    found = check_and_extract(load_dataset(folder))[1]
    assert found.ndim == 2
    assert [case.classes["lesion"].extent for case in found.cases] == [(), (6, 15)]
    assert found.cases[0].foreground == ()
    assert len(found.cases[1].foreground) == len(found.cases[1].image) == 3
