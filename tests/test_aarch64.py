"""The light installation on 64-bit ARM, under user-mode emulation: the same labels as here.

benchmarks/arm64.sh makes the folder that MEDNCA_ARM64 names, and says how.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from .inference.tiny_model import make_image, make_plans, save_model, write_image

ROOT = Path(__file__).resolve().parents[1]
EMULATOR, FOLDER = shutil.which("qemu-aarch64-static"), Path(os.environ.get("MEDNCA_ARM64", ""))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EMULATOR is None, reason="qemu-aarch64-static is absent (apt-get install qemu-user-static)"),
    pytest.mark.skipif(not (FOLDER / "tree").is_dir(), reason="MEDNCA_ARM64 names no folder of benchmarks/arm64.sh"),
]


def run(python, packages, *words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(packages), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([*map(str, (*python, *words))], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_arm(*words):
    return run((EMULATOR, "-L", FOLDER / "tree", FOLDER / "tree" / "usr" / "bin" / "python3"), FOLDER / "site", *words)


def here(*words):
    return run((sys.executable,), ROOT, *words)


def test_it_is_another_machine_without_torch():
    script = "import platform, importlib.util as u; print(platform.machine(), u.find_spec('torch'))"
    assert on_arm("-c", script).split() == ["aarch64", "None"]


@pytest.fixture
def model(tmp_path):
    """Random weights that disagree with each other: every cell is computed, and a rounding would be seen."""
    return save_model(tmp_path, make_plans(), folds=(0, 1))


def test_a_phantom_is_predicted_to_the_same_labels(model, tmp_path):
    scan = write_image(tmp_path / "a_0000.nii.gz", make_image())
    labels = []
    for name, python in (("arm", on_arm), ("here", here)):
        python("-m", "mednca_pipeline.cli.predict", "-i", scan, "-o", tmp_path / name, "-m", model)
        labels.append(np.asarray(nibabel.load(tmp_path / name / "a.nii.gz").dataobj))
    assert len(np.unique(labels[0])) > 1
    np.testing.assert_array_equal(*labels)
