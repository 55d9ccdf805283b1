"""mednca_predict -o: nothing of the user's is overwritten, and nothing stale passes for fresh."""

import csv
import os
import shutil
import subprocess
import sys
import time

import pytest

from mednca_pipeline.cli.predict import main
from mednca_pipeline.inference import cases as predicting
from mednca_pipeline.inference import made_from
from mednca_pipeline.runtime.files import read_json

from ..inference.tiny_model import make_image, make_plans, save_model, write_image


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    save_model(root, make_plans(), folds=(0, 1))
    return root


@pytest.fixture
def place(model, tmp_path):
    """A workspace with a model of its own, and images a and b in `in`."""
    shutil.copytree(model / "results", tmp_path / "results")
    for index, name in enumerate("ab"):
        write_image(tmp_path / "in" / f"{name}_0000.nii.gz", make_image(index))
    return tmp_path


def predict(place, *options, out="out"):
    return main(["--root", str(place), "-i", str(place / "in"), "-o", str(place / out), "--no-quality", *options])


def rows(place, out="out"):
    with (place / out / "quality.csv").open(encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def said(capsys):
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_a_file_that_it_did_not_write_is_never_overwritten(place, capsys, options):
    (place / "out").mkdir()
    (place / "out" / "a.nii.gz").write_bytes(b"drawn by hand")
    assert predict(place, *options) == 2
    told = said(capsys)
    assert "failed: a:" in told and "a file that mednca_predict did not write" in told and "another folder" in told
    assert (place / "out" / "a.nii.gz").read_bytes() == b"drawn by hand"
    assert (place / "out" / "b.nii.gz").is_file() and set(rows(place)) == {"b.nii.gz"}


def test_a_map_of_the_users_is_not_overwritten_either(place, capsys):
    (place / "out").mkdir()
    (place / "out" / "a_variance.nii.gz").write_bytes(b"mine")
    assert predict(place, "--save_variance", "--overwrite") == 2
    assert "a_variance.nii.gz: found a file that mednca_predict did not write" in said(capsys)
    assert (place / "out" / "a_variance.nii.gz").read_bytes() == b"mine" and not (place / "out" / "a.nii.gz").exists()


def test_an_output_that_was_corrected_by_hand_is_overwritten_only_when_asked(place, capsys):
    assert predict(place) == 0
    (place / "out" / "a.nii.gz").write_bytes(b"corrected by hand")
    row = rows(place)["a.nii.gz"]
    assert predict(place) == 2
    told = said(capsys)
    assert "was changed after mednca_predict wrote it" in told and "--overwrite" in told and "1 kept" in told
    assert (place / "out" / "a.nii.gz").read_bytes() == b"corrected by hand" and rows(place)["a.nii.gz"] == row
    assert predict(place, "--overwrite") == 0
    assert (place / "out" / "a.nii.gz").read_bytes() != b"corrected by hand"


@pytest.mark.parametrize("inside", ["labelsTr", "imagesTs", "predictions", ""])
@pytest.mark.parametrize("described", [True, False])
def test_no_prediction_lies_in_a_raw_dataset(place, capsys, inside, described):
    raw = place / "raw" / "Dataset009_Mine"
    (raw / "labelsTr").mkdir(parents=True)
    if described:
        (raw / "dataset.json").write_text("{}", encoding="utf-8")
    truth = raw / "labelsTr" / "a.nii.gz"
    truth.write_bytes(b"truth")
    (place / "link").symlink_to(raw / inside)
    for out in (raw / inside, place / "link"):
        assert predict(place, "--overwrite", out=out) == 2
        assert "expected a folder outside of raw datasets" in said(capsys)
    assert truth.read_bytes() == b"truth" and not list(raw.rglob("quality.csv"))


def test_a_quality_csv_or_report_of_something_else_stays(place, capsys):
    (place / "out").mkdir()
    for text in (b"name,mos\nphoto,4.5\n", b"\xff\xfe"):
        (place / "out" / "quality.csv").write_bytes(text)
        assert predict(place) == 2
        assert "quality.csv: expected a table of mednca_predict" in said(capsys)
        assert (place / "out" / "quality.csv").read_bytes() == text
    (place / "thesis.json").write_text("{}", encoding="utf-8")
    assert predict(place, "--report", str(place / "thesis.json"), out="new") == 2
    assert "--report" in said(capsys) and not (place / "new").exists()


def test_a_replaced_scan_is_predicted_again(place, capsys):
    assert predict(place) == 0
    before = {name: (place / "out" / f"{name}.nii.gz").read_bytes() for name in "ab"}
    times = os.stat(place / "in" / "a_0000.nii.gz")
    write_image(place / "in" / "a_0000.nii.gz", make_image(7))
    os.utime(place / "in" / "a_0000.nii.gz", ns=(times.st_atime_ns, times.st_mtime_ns))  # as cp -p does
    capsys.readouterr()
    assert predict(place) == 0
    told = said(capsys)
    assert "Made again: a.nii.gz (scan a was replaced)" in told and "1 predicted, 1 kept" in told
    assert (place / "out" / "a.nii.gz").read_bytes() != before["a"]
    assert (place / "out" / "b.nii.gz").read_bytes() == before["b"]
    assert predict(place) == 0 and "0 predicted, 2 kept" in said(capsys)


def test_maps_of_the_former_scan_do_not_stay(place):
    assert predict(place, "--save_variance") == 0 and (place / "out" / "a_variance.nii.gz").is_file()
    (place / "out" / "b_variance.nii.gz").write_bytes(b"mine now")
    assert predict(place, "--overwrite") == 0
    assert not (place / "out" / "a_variance.nii.gz").exists()
    assert (place / "out" / "b_variance.nii.gz").read_bytes() == b"mine now"


def test_other_weights_or_settings_make_all_again_and_say_which(place, capsys):
    assert predict(place) == 0
    save_model(place / "other", make_plans(), folds=(5, 6))
    trained = place / "other" / "results" / "Dataset004_Tiny" / "mednca_2d" / "fold_5" / "final.safetensors"
    shutil.copy(trained, place / "results" / "Dataset004_Tiny" / "mednca_2d" / "fold_1" / "final.safetensors")
    for options, reason in [
        ((), "the model has other weights"),
        (("--everywhere",), "other settings: everywhere True instead of False"),
        (("--everywhere", "--folds", "0"), "fold 0 instead of Dataset004_Tiny mednca_2d folds 0 1"),
        (("--folds", "0", "--runs", "2"), "other settings: runs_per_fold 2 instead of 0; everywhere False instead of"),
        (("--folds", "0", "--runs", "2", "--seed", "5"), "other settings: seed 5 instead of 0"),
    ]:
        capsys.readouterr()
        assert predict(place, *options) == 0
        told = said(capsys)
        assert reason in told and "Made again: a.nii.gz, b.nii.gz" in told and "2 predicted." in told
    assert predict(place, *options) == 0 and "0 predicted, 2 kept" in said(capsys)


def test_the_record_says_what_an_output_was_made_from(place):
    import hashlib

    assert predict(place, "--folds", "0") == 0
    record = read_json(place / "out" / "made_from.json")
    output = record["outputs"]["a.nii.gz"]
    scan, label = place / "in" / "a_0000.nii.gz", place / "out" / "a.nii.gz"
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (scan, label)]
    assert output["source"] == {"files": 1, "bytes": scan.stat().st_size, "sha256": digests[0]}
    assert output["files"] == {"a.nii.gz": digests[1]}
    weights = place / "results" / "Dataset004_Tiny" / "mednca_2d" / "fold_0" / "final.safetensors"
    (used,) = record["recipes"][output["recipe"]]["models"]
    assert used["folds"] == {"0": hashlib.sha256(weights.read_bytes()).hexdigest()}


def test_outputs_of_an_earlier_version_are_kept_with_a_word(place, capsys):
    assert predict(place) == 0
    (place / "out" / "made_from.json").unlink()
    capsys.readouterr()
    assert predict(place) == 0
    told = said(capsys)
    assert "2 outputs of an earlier version are kept, such as a.nii.gz" in told and "--overwrite" in told
    assert predict(place, "--overwrite") == 0
    assert set(read_json(place / "out" / "made_from.json")["outputs"]) == {"a.nii.gz", "b.nii.gz"}


@pytest.mark.parametrize("number", range(5))
def test_killed_at_any_point_the_same_command_goes_on(place, monkeypatch, number):
    """Before and after each change of the disk: nothing is taken for the user's, and nothing for finished."""
    assert predict(place) == 0
    write_image(place / "in" / "a_0000.nii.gz", make_image(7))
    expected = place / "expected"
    assert predict(place, out=expected) == 0
    count = iter(range(100))
    replace = os.replace

    def killed(source, target):
        if next(count) == number:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        code = predict(place)
    assert code == (130 if number < 4 else 0)  # the file aside, the record, the file, the table
    assert predict(place) == 0
    assert (place / "out" / "a.nii.gz").read_bytes() == (expected / "a.nii.gz").read_bytes()
    assert {path.name for path in (place / "out").iterdir()} == {path.name for path in expected.iterdir()}


PREDICT = """
import sys
from mednca_pipeline.cli.predict import main
sys.exit(main(sys.argv[1:]))
"""


def test_two_commands_into_one_folder_lose_no_row(place):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    names = {"one": ("c", "d", "e", "f"), "two": ("g", "h", "i", "j")}
    running = []
    for folder, scans in names.items():
        for index, name in enumerate(scans):
            write_image(place / folder / f"{name}_0000.nii.gz", make_image(index))
        where = ["--root", str(place), "-i", str(place / folder), "-o", str(place / "out")]
        command = [sys.executable, "-c", PREDICT, *where, "--fast", "--quiet"]
        running.append(subprocess.Popen(command, env=environment))
    assert [process.wait() for process in running] == [0, 0]
    expected = {f"{name}.nii.gz" for scans in names.values() for name in scans}
    assert set(rows(place)) == expected
    assert set(read_json(place / "out" / "made_from.json")["outputs"]) == expected
    assert {path.name for path in (place / "out").iterdir()} == expected | {"quality.csv", "made_from.json"}


def test_a_file_in_place_of_a_folder_and_a_missing_input_are_said_first(place, capsys, monkeypatch):
    monkeypatch.setattr(made_from, "recipe_of", lambda *_, **__: pytest.fail("too late"))
    (place / "file").write_text("")
    for out in ("file", "file/below"):
        assert predict(place, out=out) == 2
        assert "expected a folder, or nothing yet, found a file" in said(capsys)
    shutil.rmtree(place / "in")
    assert predict(place) == 2
    assert "nothing there" in said(capsys) and not (place / "out").exists()


def test_a_folder_without_permission_is_said_first(place, capsys, monkeypatch):
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(place) and real(path, mode))
    assert predict(place) == 2
    assert f"found that {place} is read-only for you" in said(capsys)


def test_a_full_disk_is_the_fault_of_its_case(place, capsys, monkeypatch):
    import errno

    write = predicting.write_labels

    def full(path, *arguments):
        if path.name == "a.nii.gz":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *arguments)

    monkeypatch.setattr(predicting, "write_labels", full)
    assert predict(place) == 2
    assert "no space left on the disk" in said(capsys)
    assert rows(place)["a.nii.gz"]["flag"] == "failed" and (place / "out" / "b.nii.gz").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_is_the_fault_of_its_case(place, capsys):
    os.rename(place / "in" / "a_0000.nii.gz", place / "in" / os.fsdecode(b"caf\xe9_0000.nii.gz"))
    assert predict(place) == 2
    told = said(capsys)
    assert "expected a name in UTF-8" in told and "Rename it" in told and "fault of ours" not in told
    assert (place / "out" / "b.nii.gz").is_file()


def test_paths_are_checked_before_anything_slow_is_imported(place):
    code = "import sys; from mednca_pipeline.cli.predict import main; code = main(sys.argv[1:])\n"
    code += "sys.exit(code if not {'torch', 'scipy', 'rich', 'nibabel.nifti1'} & set(sys.modules) else 9)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, "--root", str(place), "-i", "nowhere", "-o", str(place / "out")]
    start = time.perf_counter()
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 2 and "nothing there" in run.stderr
    assert time.perf_counter() - start < 5  # half a second on an idle machine
