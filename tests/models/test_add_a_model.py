"""docs/how-to/add-a-model.md, done as it says in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mednca_pipeline.phantom import write_phantom_dataset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RUN = """
import importlib, json, sys
for name, arguments in json.loads(sys.argv[1]).items():
    if code := importlib.import_module(f"mednca_pipeline.cli.{name}").main(arguments):
        sys.exit(code)
"""
PAGE = ROOT / "docs" / "how-to" / "add-a-model.md"


def blocks():
    """{first line's comment: code} of the page's Python blocks that begin with one."""
    found = re.findall(r"```python\n# (.+?)\n(.+?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return dict(found)


@pytest.fixture
def package(tmp_path):
    """A copy of the package with the page's model."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "mednca_pipeline", copy / "mednca_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    code = blocks()
    entry = code.pop("MODELS")
    assert len(code) == 3
    for name, text in code.items():
        (copy / name).write_text(text, encoding="utf-8")
    registry = copy / "mednca_pipeline" / "models" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    text = text.replace("from ..plans import", "from ..plans.cnn import CNNPlan\nfrom ..plans import", 1)
    registry.write_text(text.replace("MODELS = {\n", f"MODELS = {{\n{entry}", 1), encoding="utf-8")
    return copy


def test_the_page_has_fewer_than_60_lines_of_code():
    assert sum(len(code.strip().splitlines()) for code in blocks().values()) < 60


def test_the_model_is_planned_trained_and_predicts(package, tmp_path):
    root = tmp_path / "workspace"
    root.mkdir()

    write_phantom_dataset(root / "raw" / "Dataset001_Phantom", n_train=6, n_test=1, size=(10, 24, 24))
    place = ("--root", str(root), "--quiet")
    image = next((root / "raw").glob("*/imagesTr/*"))
    commands = {
        "plan_and_preprocess": ("-d", "1", "--config", "2d", "-np", "0", *place),
        "train": ("1", "0", "--model", "cnn", "--iterations", "4", "-np", "0", *place),
        "predict": ("-i", str(image), "-o", str(tmp_path / "out"), "-d", "1", "-m", "cnn", *place),
    }
    environment = os.environ | {"PYTHONPATH": str(package)}
    program = [sys.executable, "-c", RUN, json.dumps(commands)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=package, env=environment)
    assert done.returncode == 0, done.stderr
    folder = next((root / "results").glob("*/cnn_2d/fold_0"))
    assert (folder / "final.safetensors").is_file() and (folder / "summary.json").is_file()
    assert (tmp_path / "out" / "quality.csv").is_file()
