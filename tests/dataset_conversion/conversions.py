"""Helpers for the tests of the converters."""

import json

import nibabel as nib
import numpy as np
from PIL import Image

from mednca_pipeline.cli.convert import main
from mednca_pipeline.datasets.check import check_dataset
from mednca_pipeline.datasets.dataset import load_dataset


def run(workspace, *arguments):
    """Runs mednca_convert in this process and returns its exit code."""
    return main([*map(str, arguments), "--root", str(workspace)])


def converted(workspace, name):
    """The dataset that a conversion wrote, without a fatal finding, and its dataset.json."""
    dataset = load_dataset(workspace / "raw" / name)
    assert check_dataset(dataset).fatal == ()
    return dataset, json.loads((dataset.folder / "dataset.json").read_text(encoding="utf-8"))


def save_nifti(path, array, spacing=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([spacing] * 3 + [1.0])), path)
    return path


def save_picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(1, 250, shape).astype(np.uint8)


def box(*shape, value=1):
    """`value` in the middle, 0 at the border."""
    array = np.zeros(shape, np.uint8)
    array[tuple(slice(1, -1) for _ in shape)] = value
    return array


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)
