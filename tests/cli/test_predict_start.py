"""What mednca_predict imports: most of the time of a small case is the start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..inference.tiny_model import make_image, make_plans, save_model, two_dimensional, write_image

ROOT = Path(__file__).parents[2]
LIBRARIES = {"numpy", "safetensors"}
NIFTI = {"nibabel", "packaging", "typing_extensions"}  # the last two are nibabel's
NEVER = {"rich", "multiprocessing", "torch", "importlib.metadata", "mednca_pipeline.runtime.formats.dicom"}
SCRIPT = """
import json, os, sys
for name in ("scipy", "h5py", "matplotlib", "indexed_gzip"):  # nibabel takes them where they are installed
    sys.modules[name] = None
before = set(sys.modules)
from mednca_pipeline.cli.predict import main
assert "numpy" not in sys.modules
assert main(sys.argv[1:]) == 0
print(json.dumps([os.environ["OPENBLAS_NUM_THREADS"], sorted(set(sys.modules) - before)]))
"""


def modules_of(command, **variables):
    """OPENBLAS_NUM_THREADS of a mednca_predict with these words, and the modules that it imported."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, command)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    threads, modules = json.loads(done.stdout.splitlines()[-1])
    return threads, set(modules)


def libraries(modules):
    return {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"mednca_pipeline"}


@pytest.mark.slow
def test_a_nifti_case_takes_numpy_nibabel_and_safetensors_alone(tmp_path):
    model = save_model(tmp_path, make_plans(), folds=(0, 1))
    scan = write_image(tmp_path / "a_0000.nii.gz", make_image())
    threads, modules = modules_of(["-m", model, "-i", scan, "-o", tmp_path / "out", "--quiet"])
    assert libraries(modules) == LIBRARIES | NIFTI
    assert not NEVER & modules
    assert threads == "1"


@pytest.mark.slow
def test_a_picture_takes_pillow_instead_of_nibabel(tmp_path):
    model = save_model(tmp_path, two_dimensional(make_plans()), folds=(0,))
    grey = make_image()[0].clip(0, 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    command = ["-m", model, "-i", tmp_path / "a.png", "-o", tmp_path / "out"]
    threads, modules = modules_of(command, OPENBLAS_NUM_THREADS="2")
    assert libraries(modules) == LIBRARIES | {"PIL"}
    assert not NEVER & modules
    assert threads == "2"  # who chose a number keeps it
