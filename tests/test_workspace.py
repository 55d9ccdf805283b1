"""Workspace: names in any form, places, and errors that list what was searched and found."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.workspace import Workspace, open_workspace, replace_dataset

real_rmtree = shutil.rmtree

HIPPOCAMPUS = "Dataset004_Hippocampus"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("MEDNCA_ROOT", "nnUNet_raw"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "raw" / HIPPOCAMPUS).mkdir(parents=True)
    (tmp_path / "plans" / "Dataset005_Prostate").mkdir(parents=True)
    (tmp_path / "results" / "Dataset1234_Long").mkdir(parents=True)
    (tmp_path / "raw" / "notes").mkdir()
    return Workspace(tmp_path)


@pytest.mark.parametrize("given", ["4", "004", 4, "Dataset004", "Dataset4", HIPPOCAMPUS, " 4 "])
def test_any_form_of_a_dataset_is_accepted(workspace, given):
    assert workspace.resolve(given) == HIPPOCAMPUS


def test_a_dataset_is_known_from_any_folder(workspace):
    assert workspace.datasets() == [HIPPOCAMPUS, "Dataset005_Prostate", "Dataset1234_Long"]
    assert workspace.resolve("1234") == "Dataset1234_Long"


@pytest.mark.parametrize("given", ["7", "Hippocampus", "Dataset004_Other", ""])
def test_an_unknown_dataset_lists_what_was_searched_and_found(workspace, given):
    with pytest.raises(InputError) as caught:
        workspace.resolve(given)
    error = caught.value
    assert repr(given) in error.where and str(workspace.raw) in error.expected and "--root" in error.remedy
    assert error.found == f"none, but {HIPPOCAMPUS}, Dataset005_Prostate, Dataset1234_Long"


def test_one_number_of_two_datasets_names_both(workspace):
    (workspace.raw / "Dataset004_Heart").mkdir()
    with pytest.raises(InputError) as caught:
        workspace.resolve(4)
    assert caught.value.found == f"several: Dataset004_Heart, {HIPPOCAMPUS}"
    assert workspace.resolve(HIPPOCAMPUS) == HIPPOCAMPUS


@pytest.mark.parametrize("folder", ["raw", "preprocessed"])
def test_a_dataset_with_data_goes_before_those_of_plans_and_results_alone(workspace, folder):
    (workspace.root / "results" / "Dataset005_Older").mkdir()
    with pytest.raises(InputError, match="found several: Dataset005_Older, Dataset005_Prostate"):
        workspace.resolve(5)
    (workspace.root / folder / "Dataset005_Mine").mkdir(parents=True)
    assert workspace.resolve(5) == "Dataset005_Mine"
    assert workspace.resolve("Dataset005_Prostate") == "Dataset005_Prostate"
    assert workspace.datasets_with_data() == [HIPPOCAMPUS, "Dataset005_Mine"]


def test_an_empty_workspace_says_so(tmp_path):
    with pytest.raises(InputError, match="no dataset at all"):
        Workspace(tmp_path).resolve(1)


def test_root_is_the_option_then_the_environment_then_here(tmp_path, monkeypatch):
    option, environment, here = (tmp_path / name for name in ("option", "environment", "here"))
    for folder in (option, environment, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    assert open_workspace().root == here
    monkeypatch.setenv("MEDNCA_ROOT", str(environment))
    assert open_workspace().root == environment
    assert open_workspace(option).root == option


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="absent: expected a folder, found nothing there"):
        open_workspace(tmp_path / "absent")


def test_raw_data_are_read_from_nnunets_folder_when_not_here(workspace, tmp_path, monkeypatch):
    nnunet = tmp_path / "nnUNet_raw"
    (nnunet / "Dataset009_Spleen").mkdir(parents=True)
    (nnunet / HIPPOCAMPUS).mkdir()
    monkeypatch.setenv("nnUNet_raw", str(nnunet))
    opened = open_workspace(workspace.root)
    assert opened.resolve(9) == "Dataset009_Spleen"
    assert opened.raw_folder("Dataset009_Spleen") == nnunet / "Dataset009_Spleen"
    assert opened.raw_folder(HIPPOCAMPUS) == workspace.raw / HIPPOCAMPUS  # ours comes first


def test_missing_raw_data_name_both_places(workspace, tmp_path):
    with pytest.raises(InputError) as error:
        Workspace(workspace.root, tmp_path / "elsewhere").raw_folder("Dataset005_Prostate")
    assert str(workspace.raw) in str(error.value) and "elsewhere" in str(error.value)


@pytest.mark.parametrize("number", range(4))
def test_killed_while_a_dataset_is_replaced_there_is_the_old_or_the_new_one(tmp_path, monkeypatch, number):
    """number: of the change of the disk at which the process is killed."""
    folder, new = tmp_path / "raw" / "Dataset004_Organ", tmp_path / "raw" / ".tmp-new"
    for place, text in ((folder, "old"), (new, "new")):
        place.mkdir(parents=True)
        (place / "dataset.json").write_text(text, encoding="utf-8")
    count = iter(range(100))

    def killing(real):
        def change(*arguments, **options):
            if next(count) == number:
                raise RuntimeError("killed")
            return real(*arguments, **options)

        return change

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killing(os.replace))
        patched.setattr(shutil, "rmtree", lambda path, ignore_errors: path.exists() and killing(real_rmtree)(path))
        with pytest.raises(RuntimeError):
            replace_dataset(folder, new)
    workspace = open_workspace(tmp_path)
    assert workspace.datasets_with_data() == ["Dataset004_Organ"]
    assert (folder / "dataset.json").read_text(encoding="utf-8") == ("old" if number < 2 else "new")
    if new.exists():
        replace_dataset(folder, new)  # the command again
        assert (folder / "dataset.json").read_text(encoding="utf-8") == "new"
        assert [path.name for path in folder.parent.iterdir()] == ["Dataset004_Organ"]


def test_the_places_below_the_root(tmp_path):
    workspace = Workspace(tmp_path)
    assert workspace.new_raw_folder(4, "Hippocampus") == tmp_path / "raw" / HIPPOCAMPUS
    assert workspace.plans_file(HIPPOCAMPUS) == tmp_path / "plans" / HIPPOCAMPUS / "plans.json"
    assert workspace.splits_file(HIPPOCAMPUS).parent == workspace.fingerprint_file(HIPPOCAMPUS).parent
    assert workspace.preprocessed_folder(HIPPOCAMPUS, "2d") == tmp_path / "preprocessed" / HIPPOCAMPUS / "2d"
    assert workspace.results_folder(HIPPOCAMPUS) == tmp_path / "results" / HIPPOCAMPUS


@pytest.mark.parametrize(
    "path",
    [
        "raw/Dataset001_A/dataset.json",
        "preprocessed/Dataset001_A/a.b2nd",
        "plans/Dataset004_Hippocampus/plans.json",
        "plans/Dataset004_Hippocampus/explained.md",
        "results/Dataset004_Hippocampus/mednca_2d/fold_0/run.json",
        "results/Dataset004_Hippocampus/comparison.md",
        "mednca_demo/out/a.png",
        "out/quality.csv",
        "pictures/a.png",
    ],
)
def test_what_a_user_makes_in_the_clone_is_ignored_by_git(path):
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("no git repository")
    assert subprocess.run(["git", "check-ignore", "-q", path], cwd=root).returncode == 0
    assert not subprocess.run(["git", "ls-files", path], cwd=root, capture_output=True).stdout
