"""Shared fixtures: the reference data beside the checkout, and import paths when the packages are not installed."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

for package, folder in (("mednca_pipeline", ROOT), ("mednca_runtime", ROOT / "runtime")):
    if importlib.util.find_spec(package) is None:
        sys.path.insert(0, str(folder))


def _shared(name: str) -> Path:
    folder = ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent (the shared data lies beside the checkout, not in the repository)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared data sets; skips the test when it is absent."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder of the shared reference implementations and results; skips the test when it is absent."""
    return _shared("reference")
