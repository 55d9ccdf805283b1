"""Predictions beside their references, and what is drawn of them."""

import nibabel as nib
import numpy as np
from PIL import Image


def write(file, array, spacing=(1.0, 1.0, 2.0)):
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.uint8), np.diag([*spacing, 1.0])), file)


def block(first, size=4):
    labels = np.zeros((12, 12, 12))
    labels[first : first + size, 3:7, 3:7] = 1
    return labels


def predicted_folders(folder):
    """Predictions of cases a (right) and b (moved by half of the block's side), references of a, b and c."""
    for case in ("a", "b", "c"):
        write(folder / "labels" / f"{case}.nii.gz", block(3))
    write(folder / "pred" / "a.nii.gz", block(3))
    write(folder / "pred" / "b.nii", block(5))
    return folder / "pred", folder / "labels"


def write_rows(folder, **cases):
    """{case: its file}, a picture of one row of labels."""
    folder.mkdir()
    for case, labels in cases.items():
        Image.fromarray(np.array([labels], np.uint8)).save(folder / f"{case}.png")
    return {case: folder / f"{case}.png" for case in cases}


def coloured_pixels(file):
    """How many pixels of a picture are not grey."""
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return int((np.ptp(pixels, axis=-1) > 30).sum())


def pixels_of(file):
    """(h, w, 3) of a picture."""
    return np.asarray(Image.open(file).convert("RGB")).astype(int)
