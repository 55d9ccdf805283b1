"""What web/test compares the page with is what the runtime computes today."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "web" / "test" / "fixtures"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The fixtures, made again."""
    folder = tmp_path_factory.mktemp("fixtures")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = ROOT / "web" / "test" / "make_fixtures.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, env=environment, capture_output=True)
    return folder


def test_files_and_cases_are_those_in_the_repository(made):
    assert {file.name for file in made.iterdir()} == {file.name for file in KEPT.iterdir()}
    for file in KEPT.glob("*.nii.gz"):
        kept, new = (gzip.decompress(path.read_bytes()) for path in (file, made / file.name))
        assert new == kept, file.name
    kept, new = (json.loads((folder / "cases.json").read_text(encoding="utf-8")) for folder in (KEPT, made))
    for case, again in zip(kept["automata"], new["automata"], strict=True):
        assert again.pop("score") == pytest.approx(case.pop("score"), rel=1e-4)
    assert new == kept


def test_arrays_are_those_in_the_repository(made):
    kept, new = (load_file(folder / "arrays.safetensors") for folder in (KEPT, made))
    assert kept.keys() == new.keys() and len(kept) > 150
    for name, array in kept.items():
        np.testing.assert_allclose(new[name], array, rtol=1e-4, atol=1e-4, err_msg=name)
