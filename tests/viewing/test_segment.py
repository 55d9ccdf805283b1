"""Whole segmentations by the page's code, in Node.js: web/test/segment.test.ts, with models and images made here."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.deploy.bundle import write_bundle
from mednca_pipeline.deploy.card import make_card
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.results.model_card import DataFacts
from mednca_pipeline.runtime.images import read_image, write_labels
from mednca_pipeline.runtime.labels import Labels

from ..deploy.models import validated_model
from ..inference.tiny_model import SPACING, make_image, make_plans, two_dimensional, write_image

WEB = Path(__file__).resolve().parents[2] / "web"
REGIONS = Labels(("anterior", "posterior"), ((1, 2), (2,)), (1, 2))
MODELS = {  # plans, model, configuration
    "slices": (make_plans(), "mednca", "2d"),
    "volumes": (make_plans(), "mednca", "3d"),
    "regions": (replace(make_plans(), labels=REGIONS), "mednca", "2d"),
    "two channels": (make_plans(2), "mednca", "2d"),
    "the published form": (make_plans(), "mednca_paper", "2d"),
    "2D images": (two_dimensional(make_plans()), "mednca", "2d"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("npx"), reason="node and npm are absent: the page's code is not run"),
    pytest.mark.skipif(not (WEB / "node_modules").exists(), reason="npm packages are absent (make web)"),
]


def made_case(folder: Path, name: str) -> dict[str, object]:
    """A model of random weights with two folds, an image, and what mednca_predict makes of it."""
    plans, kind, config = MODELS[name]
    folder = folder / name.replace(" ", "_")
    model, bundle = validated_model(folder, plans, kind, config), folder / "model.mednca"
    write_bundle(model, (0, 1), "float32", make_card(model, (0, 1), DataFacts()), bundle)
    images = [folder / f"image_{channel:04d}.nii.gz" for channel in range(len(plans.channel_names))]
    for channel, path in enumerate(images):
        volume = make_image(channel)
        if len(plans.training_range.extent_mm) == 2:
            nib.save(nib.Nifti1Image(volume[2].T[..., None], np.eye(4)), path)
        else:
            write_image(path, volume, SPACING)
    read = read_image(images)
    predicted = Predictor.from_bundle(bundle).predict(read.array, read.spacing_mm)
    assert predicted.labels.any()
    write_labels(folder / "mask.nii.gz", predicted.labels, read.geometry)
    files = {"model": str(bundle), "images": [str(path) for path in images], "mask": str(folder / "mask.nii.gz")}
    return {"name": name, "score": predicted.quality["foreground"], "flag": predicted.flag, **files}


def test_every_kind_of_model_segments_as_mednca_predict(tmp_path):
    cases = [made_case(tmp_path, name) for name in MODELS]
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    environment = os.environ | {"MEDNCA_SEGMENT": str(tmp_path / "cases.json"), "NO_COLOR": "1"}
    command = ["npx", "vitest", "run", "--dir", "test", "segment"]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(cases)} passed" in done.stdout
