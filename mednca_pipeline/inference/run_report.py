"""The run report of a prediction: what was run, with which versions and device, how long, and what came out."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..runtime.files import write_json
from .batch import Predicted, Settings

SCHEMA = 2  # 1: one folder of a model
PACKAGES = ("mednca_pipeline", "torch", "numpy", "nibabel", "SimpleITK", "monai", "safetensors")


def write_report(
    path: Path, settings: Settings, predicted: Predicted, out: Path, runtime_s: float, command: Sequence[str]
) -> None:
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "command": list(command),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": platform.platform(),
        "device": predicted.device,
        "runtime_s": round(runtime_s, 2),
        "model": {
            "folders": [str(folder) for folder in settings.model_folders],
            "made_with": predicted.made_with,
            "seed": settings.seed,
            "runs_per_fold": predicted.runs_per_fold,
        },
        "outputs": {
            "folder": str(out),
            "written": predicted.written,
            "kept": predicted.kept,
            "failed": {name: str(error) for name, error in predicted.failures.items()},
        },
    }
    write_json(path, report)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
