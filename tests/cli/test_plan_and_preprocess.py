import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.cli.plan_and_preprocess import main
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.phantom import write_phantom_dataset
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.training import expected as expecting
from mednca_pipeline.training.expected import Expected
from mednca_pipeline.workspace import Workspace

NAME = "Dataset002_Tiny"


@pytest.fixture(scope="module")
def planned_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    write_phantom_dataset(root / "raw" / NAME, n_train=5, n_test=0, seed=3, size=(10, 22, 20))
    assert main(["-d", "2", "--root", str(root), "-np", "0", "--quiet"]) == 0
    return root


@pytest.fixture(autouse=True)
def untimed(monkeypatch):
    """Trainings are measured in tests/training/test_expected.py."""

    def made(workspace, dataset, model, config, watch):
        return Expected(model, config, 100, 60.0, 1.0, "cpu")

    monkeypatch.setattr(expecting, "expected", made)


@pytest.fixture
def root(planned_root, tmp_path):
    return shutil.copytree(planned_root, tmp_path / "workspace")


def run(root, *arguments):
    return main(["-d", "2", "--root", str(root), "-np", "0", *arguments])


def plans_of(root):
    return read_plans(Workspace(root).plans_file(NAME))


def test_writes_fingerprint_plans_splits_and_all_cases(planned_root):
    workspace = Workspace(planned_root)
    names = {path.name for path in workspace.plans_folder(NAME).iterdir()}
    assert names == {"explained.md", "fingerprint.json", "plans.json", "splits.json"}
    assert plans_of(planned_root).overrides == {}
    for config in ("2d", "3d"):
        assert len(CaseStore(workspace.preprocessed_folder(NAME, config)).cases()) == 5


def test_prints_a_summary_and_with_explain_every_reason(root, capsys):
    assert run(root) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 15 and "because" not in out
    for text in ("mednca_train 2 fold0", "5 folds", "0 cases, 5 were", "explained.md, or --explain"):
        assert text in out
    explained = Workspace(root).explained_file(NAME).read_text(encoding="utf-8")
    assert run(root, "--explain") == 0
    out = " ".join(capsys.readouterr().out.split())
    for made in plans_of(root).decisions:
        assert made.because.split()[0] in out
        assert f"| {made.name} | {made.value} | {made.because} |" in explained


def test_a_second_run_reads_and_changes_nothing(root, monkeypatch):
    from mednca_pipeline.planning import run as planning_run

    files = sorted(path for path in root.rglob("*") if path.is_file() and "plans" not in path.relative_to(root).parts)
    before = {path: path.stat().st_mtime_ns for path in files}
    text = Workspace(root).plans_file(NAME).read_text(encoding="utf-8")
    for reads in ("check_and_extract", "check_dataset"):
        monkeypatch.setattr(planning_run, reads, lambda *_: pytest.fail("read again"))
    assert run(root, "--quiet") == 0
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert Workspace(root).plans_file(NAME).read_text(encoding="utf-8") == text


def test_the_time_of_all_folds_is_measured_with_validation(root, capsys, monkeypatch):
    """Five folds of 30 min and 18 s, and of 1 h; the device is named."""

    def measured(workspace, dataset, model, config, watch):
        seconds = (1800.0, 18.0) if model == "mednca" else (3500.0, 100.0)
        return Expected(model, config, 100, *seconds, "cuda")

    monkeypatch.setattr(expecting, "expected", measured)
    assert run(root, "--config", "2d") == 0  # 3d is the default of these small volumes
    out = " ".join(capsys.readouterr().out.split())
    assert "mednca in 2d: mednca_train 2 fold0 --config 2d (30 min training, up to 18 s validation)" in out
    assert "mednca 2 h 32 min, unet_small 5 h 0 min, with validation, as measured on this GPU" in out
    assert "mednca_crossval 2 --config 2d" in out


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(root, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(root)  # paths are relative where they can be
    label = sorted((root / "raw" / NAME / "labelsTr").iterdir())[0]
    image = nib.load(label)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), label)  # a finding for the table
    assert run(root, "--explain", "--config", "2d") == 0
    out, err = capsys.readouterr()
    assert "notes" in out or "note" in out
    lines = [*out.splitlines(), *err.splitlines()]
    assert [line for line in lines if len(line) > width and " " in line.strip()] == []


def test_a_clone_reuses_the_fingerprint_but_checks_its_raw_data_once(root, capsys, monkeypatch):
    from mednca_pipeline.planning import run as planning_run

    monkeypatch.setattr(planning_run, "check_and_extract", lambda *_: pytest.fail("measured again"))
    shutil.rmtree(root / "preprocessed")  # plans/ is what a clone has
    assert run(root) == 0
    assert "nothing to report" in capsys.readouterr().out
    assert run(root) == 0
    assert "unchanged since they were checked" in capsys.readouterr().out


def test_a_fingerprint_of_an_earlier_version_is_made_anew(root):
    file = Workspace(root).fingerprint_file(NAME)
    measured = json.loads(file.read_text(encoding="utf-8"))
    earlier = {**json.loads(json.dumps(measured)), "schema": 1}
    for case in earlier["cases"]:
        del case["label_ceilings"]
    file.write_text(json.dumps(earlier), encoding="utf-8")
    assert run(root, "--quiet") == 0
    assert json.loads(file.read_text(encoding="utf-8")) == measured


def test_fatal_findings_end_planning_where_the_fingerprint_is_there_as_well(root, capsys):
    shutil.rmtree(root / "preprocessed")
    stray = root / "raw" / NAME / "labelsTr" / "stray.nii.gz"  # a label without an image is no part of the digest
    stray.write_bytes(b"")
    for _ in range(2):
        assert run(root, "--quiet") == 2
        assert "a label without an image" in " ".join(capsys.readouterr().out.split())
    stray.unlink()
    assert run(root, "--quiet") == 0


def test_changed_raw_data_are_read_again(root):
    label = sorted((root / "raw" / NAME / "labelsTr").iterdir())[0]
    other = sorted((root / "raw" / NAME / "imagesTr").iterdir())[0]
    label.unlink()
    assert run(root, "--quiet") == 2  # a case without label
    other.unlink()
    splits = Workspace(root).splits_file(NAME)
    assert run(root, "--quiet") == 2  # splits name a case that is gone
    splits.unlink()
    assert run(root, "--quiet", "--folds", "2") == 0
    fingerprint = json.loads(Workspace(root).fingerprint_file(NAME).read_text(encoding="utf-8"))
    assert len(fingerprint["cases"]) == 4


def test_users_flags_stay_until_force(root, capsys):
    assert run(root, "--config", "2d", "--channels", "24") == 0
    assert "yours       channels" in capsys.readouterr().out
    assert plans_of(root).overrides == {"2d.channels": "24"}
    assert run(root) == 0
    assert "Kept from your earlier planning: 2d.channels" in capsys.readouterr().out
    assert plans_of(root).config("2d").models["mednca"].channels == 24
    assert run(root, "--force", "--quiet") == 0
    assert plans_of(root).overrides == {}


def test_an_earlier_flag_that_no_longer_fits_is_named(root, capsys):
    assert run(root, "--quiet", "--config", "2d", "--levels", "4 1", "--steps", "9 5") == 0
    assert run(root, "--quiet", "--config", "2d", "--levels", "4 2 1") == 2
    assert "Add --force to plan without your earlier choices: 2d.steps." in capsys.readouterr().err


def test_a_fault_of_ours_shows_its_traceback_and_case(root, monkeypatch, capsys):
    from mednca_pipeline.fingerprint import extract

    def fails(*_):
        raise ValueError("something odd")

    monkeypatch.setattr(extract, "case_fingerprint", fails)
    assert run(root, "--force") == 1
    err = capsys.readouterr().err
    assert "in fails" in err and "ValueError: something odd" in err
    assert "RuntimeError: phantom_000" in err


def test_memory_is_remembered(root, capsys):
    assert run(root, "--quiet", "--memory", "1.5GB") == 0
    assert plans_of(root).memory_bytes == 1_500_000_000
    assert plans_of(root).overrides == {"memory": "1500000000B"}
    assert run(root, "--config", "2d") == 0
    out = capsys.readouterr().out
    assert "yours       memory budget" in out and "Kept from your earlier planning: memory" in out
    assert plans_of(root).memory_bytes == 1_500_000_000
    assert run(root, "--quiet", "--force") == 0
    assert plans_of(root).memory_bytes > 1_500_000_000


def test_the_memory_of_another_machine_is_not_kept(root, monkeypatch):
    from mednca_pipeline.planning import run as planning_run

    monkeypatch.setattr(planning_run, "default_memory_bytes", lambda: 1_000_000_000)
    assert run(root, "--quiet", "--config", "2d") == 0
    assert plans_of(root).memory_bytes == 1_000_000_000


def test_changed_plan_preprocesses_again(root, capsys):
    assert run(root, "--config", "2d", "--spacing", "1.5") == 0
    assert "2d 5 cases, 0 were finished" in capsys.readouterr().out


def test_users_splits_are_honoured_and_leakage_is_refused(root, tmp_path, capsys):
    splits = Workspace(root).splits_file(NAME)
    names = [
        case["name"] for case in json.loads(Workspace(root).fingerprint_file(NAME).read_text(encoding="utf-8"))["cases"]
    ]
    users = [{"train": names[:3], "val": names[3:4]}]
    splits.write_text(json.dumps(users), encoding="utf-8")
    assert run(root) == 0
    assert json.loads(splits.read_text(encoding="utf-8")) == users
    assert f"1 of 5 cases are in no fold of {splits} ({names[4]})" in " ".join(capsys.readouterr().out.split())
    groups = tmp_path / "patients.csv"
    groups.write_text(f"{names[0]},anna\n{names[3]},anna\n", encoding="utf-8")
    assert run(root, "--quiet", "--groups", str(groups)) == 2
    assert "of one patient" in capsys.readouterr().err
    assert json.loads(splits.read_text(encoding="utf-8")) == users
    assert run(root, "--quiet", "--groups", str(groups), "--folds", "2", "--force") == 0
    for more in ((), ("--force", "--folds", "3")):  # other folds keep the groups
        assert not more or run(root, "--quiet", *more) == 0
        for fold in json.loads(splits.read_text(encoding="utf-8"))["folds"]:
            assert (names[0] in fold["val"]) == (names[3] in fold["val"])


@pytest.mark.parametrize("ours", [{}, {"schema": 1, "note": "mine", "groups": [["a", "b"]]}], ids=["nnU-Net", "ours"])
def test_groups_for_splits_that_are_there_are_stored_in_them(root, tmp_path, capsys, ours):
    splits = Workspace(root).splits_file(NAME)
    names = CaseStore(Workspace(root).preprocessed_folder(NAME, "2d")).cases()
    folds = [{"train": names[:3], "val": names[3:]}]
    splits.write_text(json.dumps({**ours, "folds": folds} if ours else folds), encoding="utf-8")
    groups = tmp_path / "patients.csv"
    groups.write_text(f"{names[1]},anna\n{names[2]},anna\n", encoding="utf-8")
    assert run(root, "--groups", str(groups)) == 0
    assert f"patients.csv are now in {splits}" in " ".join(capsys.readouterr().out.split())
    stored = json.loads(splits.read_text(encoding="utf-8"))
    assert stored == {**ours, "schema": 1, "folds": folds, "groups": [*ours.get("groups", []), names[1:3]]}
    stored["folds"] = [{"train": names[:2], "val": names[2:]}]
    splits.write_text(json.dumps(stored), encoding="utf-8")
    assert run(root, "--quiet") == 2
    assert "of one patient" in capsys.readouterr().err


def test_gaps_in_the_file_of_patients_are_noted(root, tmp_path, capsys):
    names = CaseStore(Workspace(root).preprocessed_folder(NAME, "2d")).cases()
    groups = tmp_path / "patients.csv"
    groups.write_text(f"case,patient\n{names[0]},anna\n{names[1]},anna\n{names[2]}x,anna\n", encoding="utf-8")
    assert run(root, "--config", "2d", "--groups", str(groups), "--force", "--folds", "2") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"leaves out 3 of 5 cases ({', '.join(names[2:])})" in out
    assert f"1 of its lines name no case of this dataset ({names[2]}x)" in out


def test_another_number_of_folds_needs_force(root, capsys):
    assert run(root, "--quiet", "--folds", "3") == 2
    assert "already has 5 folds" in capsys.readouterr().err


def test_fatal_findings_are_shown_and_exit_with_2(root, capsys):
    image = sorted((root / "raw" / NAME / "imagesTr").iterdir())[1]
    image.write_bytes(image.read_bytes()[:200])
    assert run(root, "--quiet") == 2
    assert image.name in " ".join(capsys.readouterr().out.split())


def test_several_datasets_each_once(root):
    write_phantom_dataset(root / "raw" / "Dataset003_Other", n_train=3, n_test=0, seed=4, size=(8, 20, 20))
    arguments = ["--root", str(root), "-np", "0", "--quiet", "--config", "2d"]
    assert main(["-d", "2", "3", "-d", NAME, *arguments]) == 0
    splits = json.loads(Workspace(root).splits_file("Dataset003_Other").read_text(encoding="utf-8"))
    assert len(splits["folds"]) == 3  # no more cases to keep apart
    assert not Workspace(root).preprocessed_folder("Dataset003_Other", "3d").exists()


def test_a_dataset_at_fault_does_not_stop_the_next(root, capsys):
    write_phantom_dataset(root / "raw" / "Dataset003_Other", n_train=3, n_test=0, seed=4, size=(8, 20, 20))
    Workspace(root).splits_file(NAME).write_text('[{"train": ["gone"], "val": ["lost"]}]', encoding="utf-8")
    assert main(["-d", "2", "-d", "3", "--root", str(root), "-np", "0", "--quiet", "--config", "2d"]) == 2
    assert "2 others: gone, lost" in capsys.readouterr().err
    assert len(CaseStore(Workspace(root).preprocessed_folder("Dataset003_Other", "2d")).cases()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--memory", "much"), "such as 4GB"),
        (("-np", "-1"), "worker processes"),
        (("--steps", "4", "4"), "each of the"),
    ],
)
def test_nonsense_is_refused(root, capsys, arguments, message):
    assert run(root, *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_dataset_of_one_case_is_told_to_get_another(tmp_path, capsys):
    write_phantom_dataset(tmp_path / "raw" / NAME, n_train=1, n_test=0, seed=4, size=(8, 20, 20))
    assert run(tmp_path, "--quiet") == 2
    said = capsys.readouterr().err
    assert f"{NAME}: expected at least 2 cases" in said and "found 1 case. Add labelled cases" in said
    assert "--folds" not in said


def test_an_image_a_hundred_times_off_the_others_ends_planning_with_a_finding(root, capsys):
    file = sorted((root / "raw" / NAME / "imagesTr").iterdir())[1]
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine @ np.diag([100.0, 100.0, 100.0, 1.0])), file)
    assert run(root, "--quiet") == 2
    told = capsys.readouterr()
    assert "spacing z" in told.out and "other cases" in told.out and not told.err


def test_a_target_spacing_that_needs_too_much_memory_is_refused(root, capsys):
    assert run(root, "--quiet", "--config", "3d", "--spacing", "0.02", "--memory", "1GB") == 2
    said = capsys.readouterr().err
    assert "at most 1 GB of memory, as given" in said and "after resampling" in said and "--spacing" in said
