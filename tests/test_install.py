"""The installation: commands, what --help costs, declared dependencies, and what setup.py packs."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mednca_pipeline.phantom import write_phantom_dataset

from .commands import COMMANDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "mednca_pipeline": ROOT / "mednca_pipeline",
    "dataset_conversion": ROOT / "dataset_conversion",
}
HEAVY = ("torch", "monai", "batchgenerators", "acvl_utils", "blosc2", "pandas", "sklearn", "skimage", "matplotlib")
DISTRIBUTION_OF = {"PIL": "pillow", "sklearn": "scikit-learn"}

_HELP = """
import json, sys
from importlib import import_module
main = import_module(sys.argv[1]).main
try:
    main(["--help"])
except SystemExit as stop:
    print("\\n" + json.dumps({"code": stop.code, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


@pytest.fixture(scope="module")
def setup_arguments():
    """What setup.py hands to setuptools."""
    setuptools = pytest.importorskip("setuptools", reason="setuptools is absent, setup.py cannot be read")
    captured, original, here = {}, setuptools.setup, Path.cwd()
    setuptools.setup = captured.update
    os.chdir(ROOT)
    try:
        runpy.run_path(str(ROOT / "setup.py"))
    finally:
        os.chdir(here)
        setuptools.setup = original
    return captured


def _python(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", env=environment, **options
    )


def _requirement_names(requirements):
    return {re.split(r"[<>=!~; ]", requirement)[0].lower() for requirement in requirements}


def _declared(setup_arguments, extra):
    return [*setup_arguments["install_requires"], *setup_arguments["extras_require"][extra]]


def _imported(folder):
    """Names of the packages imported anywhere in the Python files below `folder`."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    return names


def test_every_cli_module_is_a_command_and_every_command_a_module(setup_arguments):
    scripts = dict(line.split(" = ") for line in setup_arguments["entry_points"]["console_scripts"])
    assert scripts == {f"mednca_{name}": f"mednca_pipeline.cli.{name}:main" for name in COMMANDS}
    modules = (PACKAGES["mednca_pipeline"] / "cli").glob("*.py")
    assert {path.stem for path in modules if "\ndef main(" in path.read_text(encoding="utf-8")} == set(COMMANDS)


@pytest.mark.parametrize("module", [f"mednca_pipeline.cli.{name}" for name in COMMANDS] + ["mednca_pipeline.demo"])
def test_help_has_an_example_and_imports_nothing_heavy(module):
    done = _python("-c", _HELP, module)
    assert done.returncode == 0, done.stderr
    text, _, report = done.stdout.strip().rpartition("\n")
    report = json.loads(report)
    assert report["code"] == 0
    assert not set(HEAVY) & set(report["modules"])
    command = "python -m mednca_pipeline.demo" if module.endswith("demo") else f"mednca_{module.rsplit('.', 1)[1]}"
    _, _, examples = text.partition("examples:")
    assert re.search(rf"^\s*{re.escape(command)}\b", examples, re.MULTILINE), text
    assert "exit codes" in text


def test_every_import_is_declared_and_every_declared_dependency_imported(setup_arguments):
    imported = set().union(*(_imported(folder) for folder in PACKAGES.values()))
    third_party = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    needed = {DISTRIBUTION_OF.get(name, name).lower() for name in third_party}
    extras = setup_arguments["extras_require"]
    declared = [*_declared(setup_arguments, "train"), *extras["cluster"], *extras["onnx"]]
    assert needed == _requirement_names(declared) - {"dask"}  # distributed's other half


def test_every_dependency_is_pinned_and_torch_is_the_tested_one(setup_arguments):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line)
    assert pins["torch"] == "2.13.0"
    everywhere = [line for line in _declared(setup_arguments, "test") if "sys_platform" not in line]
    assert set(pins) == _requirement_names(everywhere)


def test_setup_packs_every_module_of_both_packages(setup_arguments):
    expected = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*.py")
    }
    assert set(setup_arguments["packages"]) == expected


def test_make_installs_torch_first_and_always_with_the_constraints():
    lines = re.findall(r"^\t.*pip install.*$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 2
    assert all("-c constraints.txt" in line for line in lines)
    assert lines[0].endswith("torch==2.13.0")


def test_ci_is_a_valid_script_that_calls_make_test():
    bash = shutil.which("bash")
    if not bash or os.name == "nt":
        pytest.skip("bash is absent")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert subprocess.run([bash, "-n", str(ROOT / ".ci" / "run")]).returncode == 0
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


def test_installed_commands_hand_on_the_exit_code(tmp_path):
    command = shutil.which("mednca_check", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("mednca_pipeline is not installed in this environment (make test installs it)")
    done = subprocess.run(
        [command, "-d", "99", "--root", str(tmp_path)], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 2, done.stderr
    assert "99" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """The interpreter of an empty environment with the light installation."""
    folder = tmp_path_factory.mktemp("light")
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no virtual environment can be made here: {made.stderr[-200:]}")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    source = folder / "source"  # pip builds in the folder that it is given
    for name in ("mednca_pipeline", "dataset_conversion"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", source]
    done = subprocess.run(list(map(str, install)), capture_output=True, text=True)
    if done.returncode and re.search("connection|resolve|network|timed out", done.stderr, re.IGNORECASE):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return python


def test_the_light_installation_has_the_runtime_and_the_help_of_every_command(light, tmp_path):
    script = """
import pkgutil, sys
from importlib import import_module, metadata
import mednca_pipeline.runtime
for module in pkgutil.walk_packages(mednca_pipeline.runtime.__path__, "mednca_pipeline.runtime."):
    import_module(module.name)
for name in sys.argv[1:]:
    try:
        import_module(f"mednca_pipeline.cli.{name}").main(["--help"])
    except SystemExit as stop:
        assert stop.code == 0, name
print(*sorted(distribution.name.lower() for distribution in metadata.distributions()))
"""
    done = subprocess.run([light, "-c", script, *COMMANDS], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "scipy", "pandas", "simpleitk"} & set(done.stdout.splitlines()[-1].split())


def test_a_command_that_needs_more_says_which_extra(light, tmp_path):
    write_phantom_dataset(tmp_path / "raw" / "Dataset001_Phantom", n_train=2, n_test=1, size=(12, 26, 24))
    command = [light, "-m", "mednca_pipeline.cli.plan_and_preprocess", "-d", "1", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())  # lines may be wrapped
    assert 'pip install "mednca_pipeline[train]"' in said and "Traceback" not in said


def test_an_evaluation_says_it_once_and_not_for_each_case(light, tmp_path):
    for case in "abc":
        (tmp_path / f"{case}.nii.gz").write_bytes(b"")
    command = [light, "-m", "mednca_pipeline.cli.evaluate", "-p", str(tmp_path), "-l", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    said = " ".join(done.stderr.split())
    assert done.returncode == 2 and said.count('pip install "mednca_pipeline[train]"') == 1
    assert "failed" not in said and "Traceback" not in said


def test_a_format_that_needs_more_says_which_extra(light, tmp_path):
    header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(8))
    command = [light, "-m", "mednca_pipeline.cli.predict", "-i", tmp_path / "a.nrrd", "-o", tmp_path / "out"]
    command += ["-m", ROOT / "results" / "Dataset004_Hippocampus" / "recorded" / "mednca_2d"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert 'pip install "mednca_pipeline[formats]"' in said and "Traceback" not in said


def test_the_light_installation_predicts_to_the_same_labels(light, tmp_path):
    z, y, x = np.ogrid[-1:1:36j, -1:1:50j, -1:1:34j]
    blob = np.exp(-24 * z**2 - 24 * y**2 - 6 * x**2)  # the model finds a few voxels of it, in several components
    scan = 100 + 60 * blob + np.random.default_rng(0).normal(0, 8, blob.shape)
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(scan.astype(np.float32), np.eye(4)), tmp_path / "in" / "case_0000.nii.gz")
    model = ROOT / "results" / "Dataset004_Hippocampus" / "recorded" / "mednca_2d"
    labels = []
    for python, environment in ((light, None), (sys.executable, os.environ | {"PYTHONPATH": str(ROOT)})):
        out = tmp_path / f"out{len(labels)}"
        command = [python, "-m", "mednca_pipeline.cli.predict", "-i", tmp_path / "in", "-o", out, "-m", model]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        assert "removed" in (out / "quality.csv").read_text(encoding="utf-8")
        labels.append(np.asarray(nibabel.load(out / "case.nii.gz").dataobj))
    assert labels[0].any()
    np.testing.assert_array_equal(*labels)
