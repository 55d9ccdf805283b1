"""Shared fixtures: the reference data beside the checkout, phantoms, and worker processes."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as every command does, and before any test imports torch
for name in ("MEDNCA_ROOT", "nnUNet_raw", "COLUMNS"):  # tests bring workspaces and widths of their own
    os.environ.pop(name, None)
ROOT = Path(__file__).resolve().parents[1]


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


@pytest.fixture(scope="session")
def phantom_workspace(tmp_path_factory) -> Path:
    """A workspace with a small planned and preprocessed phantom dataset, Dataset001_Phantom, in 2D and 3D, 3 folds."""
    from mednca_pipeline.cli.plan_and_preprocess import main
    from mednca_pipeline.phantom import write_phantom_dataset

    root = tmp_path_factory.mktemp("phantom")
    write_phantom_dataset(root / "raw" / "Dataset001_Phantom", n_train=6, n_test=2, seed=0, size=(12, 26, 24))
    assert main(["-d", "1", "--root", str(root), "-np", "0", "--folds", "3", "--quiet"]) == 0
    return root


@pytest.fixture(scope="session")
def workers():
    """Two worker processes for tests that kill none: starting them takes seconds."""
    from mednca_pipeline.execution.executors import open_executor

    with open_executor(2) as executor:
        yield executor
