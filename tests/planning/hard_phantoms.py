"""Phantoms that are hard to plan for: thin tubes, a small lesion in a large image, thick slices."""

import numpy as np
from scipy.ndimage import gaussian_filter

from mednca_pipeline.fingerprint.case import CaseArrays, case_fingerprint, sampled_foreground
from mednca_pipeline.fingerprint.fingerprint import Fingerprint
from mednca_pipeline.runtime.labels import Labels

ONE = Labels(("structure",), ((1,),))


def vessel_tree(rng: np.random.Generator, side: int = 512) -> np.ndarray:
    """(side, side) uint8: branching tubes of 2 pixels from one edge to the others."""
    labels = np.zeros((side, side), np.uint8)
    tips = [(np.array([side / 2, 2.0]), rng.uniform(-0.3, 0.3))]  # position (y, x) and direction
    while tips:
        position, angle = tips.pop()
        for _ in range(int(rng.uniform(0.15, 0.3) * side)):
            angle += rng.normal(0, 0.06)
            position = position + np.array([np.sin(angle), np.cos(angle)])
            y, x = (int(value) for value in position)
            if not (0 <= y < side - 1 and 0 <= x < side - 1):
                break
            labels[y : y + 2, x : x + 2] = 1
        else:
            tips += [(position, angle + turn) for turn in rng.uniform(0.3, 0.6, 2) * (-1, 1)] if len(tips) < 12 else []
    return labels


def small_lesion(rng: np.random.Generator, side: int = 2048) -> np.ndarray:
    """(side, side) uint8: one ragged lesion of about 8 pixels."""
    centre = rng.uniform(0.1, 0.9, 2) * side
    y, x = np.ogrid[:side, :side]
    angle = np.arctan2(y - centre[0], x - centre[1])
    radius = 4 * (1 + 0.15 * np.sin(3 * angle + rng.uniform(0, 6)))
    return (np.hypot(y - centre[0], x - centre[1]) < radius).astype(np.uint8)


def thick_slices(rng: np.random.Generator, shape: tuple[int, int, int] = (20, 320, 320)) -> np.ndarray:
    """(z, y, x) uint8: an organ with a smooth outline in slices ten times as far apart as their pixels."""
    z, y, x = np.ogrid[tuple(slice(-1, 1, side * 1j) for side in shape)]
    bumps = gaussian_filter(rng.standard_normal(shape), (1, 16, 16))
    return ((z / 0.7) ** 2 + (y / 0.45) ** 2 + (x / 0.35) ** 2 + 0.1 * bumps / bumps.std() < 1).astype(np.uint8)


def fingerprint_of(cases: list[np.ndarray], spacing_mm: tuple[float, ...]) -> Fingerprint:
    """Measured as of files; the images are the labels in noise."""
    measured = []
    for index, labels in enumerate(cases):
        image = 100 + 50 * labels[None] + np.random.default_rng(index).normal(0, 10, (1, *labels.shape))
        case, name = CaseArrays(image.astype(np.float32), labels, spacing_mm), f"case_{index}"
        measured.append(case_fingerprint(name, case, ONE, sampled_foreground(case, ONE, name), name))
    foreground = measured[0].foreground
    return Fingerprint("Dataset901_Hard", ("MRI",), ONE, ".nii.gz", True, foreground, tuple(measured), "raw")
