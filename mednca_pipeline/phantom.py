"""Phantoms: made-up volumes that look like hippocampus MRI, written as an ordinary raw dataset.

Each shows two touching structures of one curved tube, a thick head (anterior, label 1) and a thin tail (posterior,
label 2). The tube lies off-centre in textured tissue, with a bias field and noise. Every case has its own spacing and
orientation. No patient's image went into the phantoms.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from .runtime.errors import InputError
from .runtime.files import write_text

ANTERIOR, POSTERIOR, IGNORE = 1, 2, 3
SIZE = (36, 50, 35)  # (z, y, x), as in the Decathlon's hippocampus task

_REFERENCE_MM = np.array([35.0, 50.0, 36.0])  # extent along x, y, z for which the tube below is given
_RADIUS_AT = ([0.0, 0.15, 0.35, 0.6, 1.0], [5.0, 6.5, 5.3, 4.7, 3.3])  # mm along the tube, head to tail
_GREY, _WHITE, _FLUID, _TUBE = 0.66, 0.9, 0.15, 0.5  # relative brightness of the tissues


@dataclass(frozen=True)
class Anatomy:
    """One made-up patient on a grid (x, y, z) in RAS order, with spacing_mm in that order."""

    labels: np.ndarray  # (x, y, z) uint8
    tissue: np.ndarray  # (x, y, z) float, noise-free brightness between 0 and 1
    spacing_mm: np.ndarray  # (3,)


@dataclass(frozen=True)
class Content:
    """What the images and labels of a phantom dataset hold.

    channels: names; "CT" gives Hounsfield units, anything else MRI. regions: labels are nested regions (whole,
    posterior) instead of classes. ignore: the voxels of one end of each case are marked as ignored.
    """

    channels: tuple[str, ...] = ("MRI",)
    regions: bool = False
    ignore: bool = False


def make_phantom(
    rng: np.random.Generator, size: tuple[int, int, int] = SIZE, contrast: str = "MRI"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One phantom of about `size` (z, y, x) voxels, each axis up to 2 voxels larger or smaller.

    Returns image (z, y, x) int16, labels (z, y, x) uint8 and the NIfTI affine (4, 4) of their transposes. The axes are
    randomly permuted and flipped, and the affine says so. `contrast` "CT" gives Hounsfield units, anything else MRI.
    """
    anatomy = draw_anatomy(rng, size)
    image = render(rng, anatomy, contrast)
    orientation = _random_orientation(rng)
    affine = _affine(rng, anatomy, orientation)
    return _oriented(image, orientation), _oriented(anatomy.labels, orientation), affine


def draw_anatomy(rng: np.random.Generator, size: tuple[int, int, int]) -> Anatomy:
    """A patient: spacing 0.9 to 1.2 mm, a bent tube of its own size, place and tilt, and the tissue around it."""
    shape = np.array(size[::-1]) + rng.integers(-2, 3, 3)
    spacing_mm = np.round(rng.uniform(0.9, 1.2, 3), 3)
    scale = float((shape * spacing_mm / _REFERENCE_MM).min()) * rng.uniform(0.95, 1.06)
    position = _positions_mm(shape, spacing_mm) - rng.uniform(-3.0, 3.0, 3) * scale  # (x, y, z, 3)
    depth, along = _tube(rng, position / scale)
    sides = tuple(shape.tolist())
    depth = depth + 0.06 * _texture(rng, sides, 2.5 * scale)
    split = rng.uniform(0.34, 0.40) + 0.015 * _texture(rng, sides, 2.0 * scale)
    labels = np.where(along < split, ANTERIOR, POSTERIOR).astype(np.uint8)
    labels[depth >= 1.0] = 0
    return Anatomy(labels, _tissue(rng, depth, scale), spacing_mm)


def render(rng: np.random.Generator, anatomy: Anatomy, contrast: str) -> np.ndarray:
    """The image (x, y, z) int16 of a patient: MRI with bias field, noise and an arbitrary scale, or CT."""
    tissue = anatomy.tissue
    if contrast == "CT":
        return np.round(-60.0 + 160.0 * tissue + rng.normal(0.0, 12.0, tissue.shape)).astype(np.int16)
    gamma = rng.uniform(0.85, 1.2)
    bias = np.exp(0.08 * _texture(rng, tissue.shape, 0.35 * min(tissue.shape)))
    noise = rng.normal(0.0, 0.045, (2, *tissue.shape))
    magnitude = np.hypot(tissue**gamma * bias + noise[0], noise[1])  # Rician, as in magnitude MRI
    return np.round(magnitude * rng.uniform(150.0, 900.0)).astype(np.int16)


def write_phantom_dataset(
    folder: Path,
    n_train: int = 20,
    n_test: int = 4,
    seed: int = 0,
    size: tuple[int, ...] = SIZE,
    content: Content = Content(),  # noqa: B008  # frozen
) -> Path:
    """Writes a raw dataset of phantoms into `folder`: dataset.json, imagesTr, labelsTr, imagesTs, labelsTs.

    `size` (z, y, x) gives NIfTI volumes; (y, x) gives PNG images, three channels as one RGB file. Equal arguments give
    equal voxels. Raises InputError when `size` has another number of axes.
    """
    if len(size) not in (2, 3):
        raise InputError("phantom size", "(z, y, x) or (y, x)", str(tuple(size)))
    folder = Path(folder)
    ending = ".nii.gz" if len(size) == 3 else ".png"
    write_case = _write_volume_case if len(size) == 3 else _write_slice_case
    for index in range(n_train + n_test):
        part, number = ("Tr", index) if index < n_train else ("Ts", index - n_train)
        name = f"phantom_{number:03d}" if part == "Tr" else f"unseen_{number:03d}"
        rng = np.random.default_rng([seed, index])
        images, labels = folder / f"images{part}", folder / f"labels{part}"
        for place in (images, labels):
            place.mkdir(parents=True, exist_ok=True)
        write_case(rng, tuple(size), content, images / name, labels / f"{name}{ending}")
    description = _description(n_train, content, ending)
    write_text(folder / "dataset.json", json.dumps(description, indent=1) + "\n")  # not sorted: regions have an order
    return folder


def _description(n_train: int, content: Content, ending: str) -> dict[str, object]:
    labels: dict[str, object] = {"background": 0, "anterior": ANTERIOR, "posterior": POSTERIOR}
    if content.regions:
        labels = {"background": 0, "whole": [ANTERIOR, POSTERIOR], "posterior": POSTERIOR}
    if content.ignore:
        labels["ignore"] = IGNORE
    description: dict[str, object] = {
        "channel_names": {str(index): name for index, name in enumerate(content.channels)},
        "labels": labels,
        "numTraining": n_train,
        "file_ending": ending,
    }
    return description | ({"regions_class_order": [ANTERIOR, POSTERIOR]} if content.regions else {})


def _write_volume_case(
    rng: np.random.Generator, size: tuple[int, ...], content: Content, image: Path, label: Path
) -> None:
    depth, height, width = size
    anatomy = draw_anatomy(rng, (depth, height, width))
    orientation = _random_orientation(rng)
    affine = _affine(rng, anatomy, orientation)
    for index, contrast in enumerate(content.channels):
        array = _oriented(render(rng, anatomy, contrast), orientation)
        _save_nifti(array, affine, image.with_name(f"{image.name}_{index:04d}.nii.gz"))
    _save_nifti(_oriented(_with_ignored(anatomy.labels, content.ignore), orientation), affine, label)


def _write_slice_case(
    rng: np.random.Generator, size: tuple[int, ...], content: Content, image: Path, label: Path
) -> None:
    height, width = size
    anatomy = draw_anatomy(rng, (height, width, round(0.75 * width)))
    sagittal = int((anatomy.labels > 0).sum(axis=(1, 2)).argmax())
    shown = [_grey_8bit(render(rng, anatomy, contrast)[sagittal]) for contrast in content.channels]
    files = [np.stack(shown, axis=-1)] if len(shown) == 3 else shown
    for index, array in enumerate(files):
        Image.fromarray(array).save(image.with_name(f"{image.name}_{index:04d}.png"))
    Image.fromarray(np.ascontiguousarray(_with_ignored(anatomy.labels, content.ignore)[sagittal].T)).save(label)


def _grey_8bit(image: np.ndarray) -> np.ndarray:
    """(y, z) of any brightness -> (z, y) uint8."""
    low, high = np.percentile(image, [0.5, 99.5])
    return np.round(np.clip((image.T - low) / (high - low), 0.0, 1.0) * 255).astype(np.uint8)


def _with_ignored(labels: np.ndarray, ignore: bool) -> np.ndarray:
    """The labels (x, y, z). With `ignore`, all voxels in the lowest eighth of y are marked as ignored."""
    marked = labels.copy()
    if ignore:
        marked[:, : max(1, labels.shape[1] // 8)] = IGNORE
    return marked


def _positions_mm(shape: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Voxel centres (x, y, z, 3) in mm from the middle of the grid."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing_mm, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _tube(rng: np.random.Generator, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each position (x, y, z, 3) lies in the tube: distance over radius (below 1 inside), and 0 (head) to 1."""
    t = np.linspace(0.0, 1.0, 64)
    bow = (2 * t - 1) ** 2 - 1 / 3
    side = rng.choice([-1.0, 1.0])
    length, bend, rise = rng.uniform(27.0, 31.0), rng.uniform(3.0, 5.0), rng.uniform(4.0, 8.0)
    centre = np.stack([side * bend * bow, length * (0.5 - t), rise * (t - 0.5) + 1.5 * bow], axis=-1)  # (64, 3)
    radius = np.interp(t, *_RADIUS_AT) * rng.uniform(0.9, 1.1)
    depth = np.full(position.shape[:-1], np.inf)
    along = np.zeros(position.shape[:-1])
    for point, at, thickness in zip(centre, t, radius, strict=True):
        distance = np.linalg.norm(position - point, axis=-1) / thickness
        nearer = distance < depth
        depth[nearer], along[nearer] = distance[nearer], at
    return depth, along


def _tissue(rng: np.random.Generator, depth: np.ndarray, scale: float) -> np.ndarray:
    """Brightness around and in the tube: grey and white matter, pockets of fluid, and a partial bright rim."""
    shape = depth.shape
    near = np.clip(1.8 - depth, 0.0, 0.8)  # most of the tube lies in white matter
    white = _step(_texture(rng, shape, 2.6 * scale) + near, 0.2)
    fluid = _step(_texture(rng, shape, 2.2 * scale) - 1.3, 0.2)
    around = _GREY + (_WHITE - _GREY) * white
    around = around + (_FLUID - around) * fluid
    rim = np.exp(-(((depth - 1.15) / 0.12) ** 2)) * _step(_texture(rng, shape, 4.0 * scale), 0.5)
    around = around + (_WHITE - around) * 0.8 * rim
    inside = _step(1.0 - depth, 0.06)
    tube = _TUBE + 0.03 * _texture(rng, shape, 1.2 * scale)
    return np.clip(around + (tube - around) * inside + 0.02 * _texture(rng, shape, 0.8), 0.0, 1.0)


def _texture(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Smooth noise of mean 0 and standard deviation 1; `sigma` in voxels."""
    noise = gaussian_filter(rng.standard_normal(tuple(shape)), sigma, mode="nearest")
    return (noise - noise.mean()) / noise.std()


def _step(value: np.ndarray, width: float) -> np.ndarray:
    """From 0 to 1 around value 0, within about `width` on either side."""
    return 0.5 * (1.0 + np.tanh(value / width))


def _random_orientation(rng: np.random.Generator) -> np.ndarray:
    """A random permutation and flips in nibabel's form, (3, 2): target axis and direction of each axis of the grid."""
    return np.stack([rng.permutation(3), rng.choice([-1, 1], 3)], axis=-1)


def _affine(rng: np.random.Generator, anatomy: Anatomy, orientation: np.ndarray) -> np.ndarray:
    affine = np.diag([*anatomy.spacing_mm, 1.0])
    affine[:3, 3] = np.round(rng.uniform(-80.0, 80.0, 3), 2)
    return affine @ nib.orientations.inv_ornt_aff(orientation, anatomy.labels.shape)


def _oriented(array: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """(x, y, z) in RAS order -> (z, y, x) of the file's own axes."""
    return np.ascontiguousarray(nib.orientations.apply_orientation(array, orientation).T)


def _save_nifti(array: np.ndarray, affine: np.ndarray, path: Path) -> None:
    image = nib.Nifti1Image(array.T, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
