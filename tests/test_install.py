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

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "mednca_pipeline": ROOT / "mednca_pipeline",
    "dataset_conversion": ROOT / "dataset_conversion",
    "mednca_runtime": ROOT / "runtime" / "mednca_runtime",
}
COMMANDS = ("convert", "check", "plan_and_preprocess", "train", "crossval", "predict", "evaluate", "plot")
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
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "runtime")]), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", env=environment, **options
    )


def _requirement_names(requirements):
    return {re.split(r"[<>=!~; ]", requirement)[0].lower() for requirement in requirements}


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


def test_the_runtime_imports_numpy_nibabel_pillow_and_safetensors_only():
    third_party = _imported(PACKAGES["mednca_runtime"]) - set(sys.stdlib_module_names) - {"mednca_runtime"}
    assert third_party <= {"numpy", "nibabel", "PIL", "SimpleITK", "safetensors"}
    names = [path.stem for path in PACKAGES["mednca_runtime"].glob("*.py") if path.stem != "__init__"]
    lines = "; ".join(f"import mednca_runtime.{name}" for name in names)
    done = _python(
        "-c", f"{lines}; import sys; print([n for n in ('torch', 'SimpleITK', 'pandas') if n in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_import_is_declared_and_every_declared_dependency_imported(setup_arguments):
    imported = set().union(*(_imported(folder) for folder in PACKAGES.values()))
    third_party = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    needed = {DISTRIBUTION_OF.get(name, name).lower() for name in third_party}
    assert needed == _requirement_names(setup_arguments["install_requires"])


def test_every_dependency_is_pinned_and_torch_is_the_tested_one(setup_arguments):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line)
    assert pins["torch"] == "2.13.0"
    everywhere = [line for line in setup_arguments["install_requires"] if "sys_platform" not in line]
    assert set(pins) == _requirement_names([*everywhere, *setup_arguments["extras_require"]["test"]])


def test_setup_packs_every_module_of_the_three_packages(setup_arguments):
    assert setup_arguments["package_dir"] == {"mednca_runtime": "runtime/mednca_runtime"}
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
