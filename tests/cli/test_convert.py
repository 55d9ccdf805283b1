import filecmp
import re
import shutil
from pathlib import Path

import pytest

from dataset_conversion import CONVERTERS
from mednca_pipeline.datasets.check import check_dataset
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.workspace import Workspace

from ..dataset_conversion.conversions import box, converted, noise, run, save_picture


@pytest.fixture
def chest(tmp_path, monkeypatch):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    for name in "ba":
        save_picture(tmp_path / "s" / "images" / f"{name}.png", noise(4, 5, seed=ord(name)))
        save_picture(tmp_path / "s" / "masks" / f"{name}.png", box(4, 5, value=255))
    return "chest_xray", "-i", tmp_path / "s", "-d", "21"


def test_an_existing_dataset_is_kept_unless_forced(tmp_path, chest, capsys):
    assert run(tmp_path, *chest) == 0
    marker = tmp_path / "raw" / "Dataset021_ChestXray" / "mine.txt"
    marker.write_text("x", encoding="utf-8")
    assert run(tmp_path, *chest) == 2
    assert "--force" in capsys.readouterr().err and marker.exists()
    assert run(tmp_path, *chest, "--force") == 0
    assert not marker.exists()
    assert [folder.name for folder in (tmp_path / "raw").iterdir()] == ["Dataset021_ChestXray"]


def test_a_failed_conversion_keeps_what_was_there(tmp_path, chest):
    assert run(tmp_path, *chest) == 0
    save_picture(tmp_path / "s" / "masks" / "b.png", box(4, 6, value=255))
    assert run(tmp_path, *chest, "--force") == 2
    assert len(converted(tmp_path, "Dataset021_ChestXray")[0].training) == 2
    assert [folder.name for folder in (tmp_path / "raw").iterdir()] == ["Dataset021_ChestXray"]


def test_a_number_with_another_name_is_refused(tmp_path, chest, capsys):
    (tmp_path / "raw" / "Dataset021_Other").mkdir(parents=True)
    assert run(tmp_path, *chest) == 2
    assert "Dataset021_Other" in capsys.readouterr().err


def test_plans_and_results_alone_do_not_take_a_number(tmp_path, chest):
    for folder in ("plans", "results"):
        (tmp_path / folder / "Dataset021_Other").mkdir(parents=True)
    assert run(tmp_path, *chest) == 0
    assert Workspace(tmp_path).resolve(21) == "Dataset021_ChestXray"


def test_the_guide_takes_a_number_that_no_committed_plan_has():
    root = Path(__file__).resolve().parents[2]
    guide = (root / "docs" / "how-to" / "own-data.md").read_text(encoding="utf-8")
    (number,) = set(re.findall(r"-d (\d+)", guide))
    assert not list((root / "plans").glob(f"Dataset{int(number):03d}_*"))


def test_the_same_source_gives_the_same_bytes(tmp_path, chest):
    assert run(tmp_path, *chest) == 0
    first = tmp_path / "first"
    shutil.move(tmp_path / "raw" / "Dataset021_ChestXray", first)
    assert run(tmp_path, *chest) == 0
    second = tmp_path / "raw" / "Dataset021_ChestXray"
    files = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert files == sorted(str(path.relative_to(second)) for path in second.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(first, second, files, shallow=False)[0] == files


def test_options_of_pairs_are_refused_elsewhere(tmp_path, chest, capsys):
    for option in ("--threshold", "--series"):
        assert run(tmp_path, *chest, option, "3") == 2
        assert "expected no option of pairs" in capsys.readouterr().err


@pytest.mark.parametrize("converter", CONVERTERS)
def test_a_source_that_does_not_exist_is_named(tmp_path, capsys, converter):
    extra = ("-l", tmp_path / "masks", "--name", "X") if converter == "pairs" else ()
    assert run(tmp_path, converter, "-i", tmp_path / "nowhere", "-d", "5", *extra) == 2
    assert "expected a folder" in capsys.readouterr().err


def _some(source, target, patterns):
    """Copies the files that fit the patterns, and dataset.json."""
    for pattern in (*patterns, "dataset.json"):
        for path in source.glob(pattern):
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / path.relative_to(source))
    return target


@pytest.mark.parametrize(
    ("converter", "source", "patterns"),
    [
        ("msd", "Task04_Hippocampus", ["*Tr/hippocampus_00*"]),
        ("promise12", "PROMISE12_resampled", ["*/case0*"]),
        ("busi", "BUSI", ["benign/benign (31*", "malignant/malignant (1*", "normal/normal (11*"]),
        ("chest_xray", "ChestXray", ["*/*_000*"]),
    ],
)
def test_real_datasets_pass_the_check(tmp_path, shared_data, converter, source, patterns):
    part = _some(shared_data / source, tmp_path / source, patterns)
    assert run(tmp_path, converter, "-i", part, "-d", "4", "--quiet") == 0
    (folder,) = (tmp_path / "raw").iterdir()
    dataset = load_dataset(folder)
    assert len(dataset.training) >= 3
    report = check_dataset(dataset)
    assert {finding.severity for finding in report.findings} <= {"note"}
