"""Predicting with a small model, for the tests of mednca_predict."""

import csv

import nibabel as nib
import numpy as np

from mednca_pipeline.cli.predict import main


def predict(workspace, source, out, *options):
    return main(["--root", str(workspace), "-i", str(source), "-o", str(out), *options])


def rows(out):
    with (out / "quality.csv").open(encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def voxels(path):
    return np.asanyarray(nib.load(path).dataobj)
