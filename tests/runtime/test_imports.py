"""What the runtime imports."""

import ast
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import mednca_pipeline.runtime

BLOCKED = ("torch", "scipy", "SimpleITK", "monai", "pandas", "skimage", "sklearn", "batchgenerators", "blosc2", "rich")
IMPORT_ALL = f"""
import importlib, pkgutil, sys
for name in {BLOCKED}:
    sys.modules[name] = None  # importing it fails, as on a machine without it
import mednca_pipeline.runtime
for module in pkgutil.walk_packages(mednca_pipeline.runtime.__path__, "mednca_pipeline.runtime."):
    importlib.import_module(module.name)
loaded = [name for name in {BLOCKED} if sys.modules[name] is not None]
assert not loaded, loaded
"""


def test_the_runtime_can_be_imported_without_torch_and_the_other_libraries():
    environment = {**os.environ, "PYTHONPATH": str(Path(mednca_pipeline.runtime.__path__[0]).parents[1])}
    run = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr


def test_the_runtime_names_only_numpy_nibabel_and_pillow_at_import():
    allowed = set(sys.stdlib_module_names) | {"numpy", "nibabel", "PIL"}
    modules = [Path(info.module_finder.path) / info.name.rsplit(".", 1)[-1] for info in _modules()]
    assert len(modules) > 5
    for module in modules:
        file = module.with_suffix(".py") if module.with_suffix(".py").exists() else module / "__init__.py"
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert {name.split(".")[0] for name in names} <= allowed, file


def _modules():
    return list(pkgutil.walk_packages(mednca_pipeline.runtime.__path__, "mednca_pipeline.runtime."))
