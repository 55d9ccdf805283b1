"""A workspace with a trained model, and its bundle."""

from pathlib import Path

from mednca_pipeline.cli.export import main as export


def exported(place, *options) -> Path:
    out = place / "tiny.mednca"
    assert export(["--root", str(place / "workspace"), "-o", str(out), *options]) == 0
    return out
