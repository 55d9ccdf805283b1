"""Small raw datasets for the tests of datasets and their check."""

import json

import nibabel as nib
import numpy as np
from PIL import Image

SHAPE_XYZ = (6, 5, 4)
LABELS = {"background": 0, "head": 1, "tail": 2}


def affine(spacing=1.0, origin=(0.0, 0.0, 0.0), flipped=False):
    """RAS affine of axes along x, y, z; `flipped` turns the first against x."""
    matrix = np.diag([-spacing if flipped else spacing, spacing, spacing, 1.0])
    matrix[:3, 3] = origin
    return matrix


def image_array(seed=0, shape=SHAPE_XYZ):
    return np.random.default_rng(seed).integers(1, 200, shape).astype(np.int16)


def label_array(shape=SHAPE_XYZ):
    labels = np.zeros(shape, np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    labels[3:5, 1:3, 1:3] = 2
    return labels


def save(path, array, matrix=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array, affine() if matrix is None else matrix), path)
    else:
        Image.fromarray(array).save(path)
    return path


def describe(folder, **changes):
    """Writes dataset.json; a change to None leaves the key out."""
    data = {"channel_names": {"0": "MRI"}, "labels": LABELS, "numTraining": 3, "file_ending": ".nii.gz", **changes}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({key: value for key, value in data.items() if value is not None})
    (folder / "dataset.json").write_text(text, encoding="utf-8")
    return folder


def make_raw(folder, cases=("a", "b", "c"), channels=1, suffix=True, **changes):
    """A dataset without a fault, of single-channel NIfTI files."""
    names = {str(index): f"channel{index}" for index in range(channels)}
    describe(folder, **{"channel_names": names, "numTraining": len(cases), **changes})
    for number, case in enumerate(cases):
        for channel in range(channels):
            name = f"{case}_{channel:04d}.nii.gz" if suffix else f"{case}.nii.gz"
            save(folder / "imagesTr" / name, image_array(10 * number + channel))
        save(folder / "labelsTr" / f"{case}.nii.gz", label_array())
    return folder
