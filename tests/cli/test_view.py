"""mednca_view from the command line."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.cli.view import main
from mednca_pipeline.viewing import page

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A page, though it was not built."""
    folder = tmp_path / "web_page"
    folder.mkdir()
    (folder / "index.html").write_text("<p>page</p>")
    monkeypatch.setattr(page, "FOLDER", folder)
    return folder


@pytest.fixture
def folders(tmp_path):
    """A prediction with its image, and the labels' names beside the image."""
    (tmp_path / "out").mkdir()
    images = tmp_path / "dataset" / "imagesTs"
    images.mkdir(parents=True)
    described = {"labels": {"background": 0, "anterior": 1, "posterior": 2}}
    (images.parent / "dataset.json").write_text(json.dumps(described))
    image = nib.Nifti1Image(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.eye(4))
    nib.save(image, images / "a_0000.nii.gz")
    nib.save(
        nib.Nifti1Image((np.arange(8) % 3).astype(np.uint8).reshape(2, 2, 2), np.eye(4)), tmp_path / "out/a.nii.gz"
    )
    return tmp_path / "out", images


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-i", "."], "FOLDER: expected a folder of predictions"),
        (["nowhere"], "FOLDER nowhere: expected a folder, found nothing there"),
        ([".", "-i", "nowhere"], "-i nowhere: expected a folder"),
    ],
)
def test_mistakes_are_named_before_anything_is_served(tmp_path, built, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--no-browser", "--root", str(tmp_path)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_without_the_page_it_says_how_to_build_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    assert main(["--no-browser", "--root", str(tmp_path)]) == 2
    assert "make web" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise on Windows")
def test_serves_a_review_until_ctrl_c(tmp_path, built, folders):
    code = (
        "import sys; from pathlib import Path; from mednca_pipeline.viewing import page\n"
        "page.FOLDER = Path(sys.argv[1])\n"
        "from mednca_pipeline.cli.view import main\n"
        "sys.exit(main(sys.argv[2:]))"
    )
    out, images = map(str, folders)
    command = [sys.executable, "-c", code, str(built), out, "-i", images, "--no-browser", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MEDNCA_MODELS": str(tmp_path / "none")}
    process = subprocess.Popen(
        [*command, "--root", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a job in the background has none
    )
    try:
        said = process.stdout.readline()
        assert said == "1 prediction to review. Ctrl-C ends it.\n"
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]+/", url)
        with urllib.request.urlopen(f"{url}session.json", timeout=10) as answer:
            session = json.load(answer)
        assert session["classes"] == {"1": "anterior", "2": "posterior"}
        with urllib.request.urlopen(url + session["cases"][0]["image"], timeout=10) as answer:
            assert answer.read() == (folders[1] / "a_0000.nii.gz").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == "Ended.\n"
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
