"""Writes NIfTI files in every orientation."""

import nibabel as nib
import numpy as np


def rotation(*degrees):
    """(3, 3): turned about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def affine_of(matrix, spacing=(0.7, 1.1, 2.5), origin=(-12.5, 30.25, 7.0)):
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(matrix, dtype=float) * spacing
    affine[:3, 3] = origin
    return affine


AFFINES = {
    "ras": affine_of(np.eye(3)),
    "lps": affine_of(np.diag([-1, -1, 1])),
    "sagittal": affine_of([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "coronal flipped": affine_of([[-1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "oblique": affine_of(rotation(12, -20, 33)),
    "oblique permuted": affine_of(rotation(10, 15, -8) @ np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]])),
}
SHEARED = affine_of(rotation(5, 5, 5) @ np.array([[1, 0, 0.1], [0, 1, 0], [0, 0, 1]]))


def save_nifti(path, array, affine, code=1):
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code, strip_shears=True)
    nib.save(image, path)
    return path
