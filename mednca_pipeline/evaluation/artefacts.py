"""Image artefacts of graded severity: networks are measured under them, and may be trained with them.

Images are (C, z, y, x) or (C, y, x) float arrays of any unit of intensity, `spacing_mm` per spatial axis in that order.
All channels of an image are changed alike. In-plane are the axes other than a volume's coarsest one (ties: its first).
An axis of infinite spacing holds slices that were cut out of a volume: nothing varies along it but noise.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter

from ..runtime.resampling import LINEAR, resample

Change = Callable[[np.ndarray, Sequence[float], float, np.random.Generator], np.ndarray]

SEVERITIES = (1, 2, 3, 4, 5)
# Blur, grain and stripes are in voxels where the longest in-plane side has up to this many, and grow with larger ones:
# networks see a photograph of 2,000 pixels reduced.
REFERENCE_SIDE = 256
FIELD_ORDER = 3  # degree of the bias field's polynomial
GHOSTS = (3, 5)  # copies, at least and at most
SPIKES = 2
SPIKE_FREQUENCIES = (0.05, 0.35)  # cycles per voxel


@dataclass(frozen=True)
class Artefact:
    """change: (image, spacing_mm, amount, rng) -> image. amounts: of the severities 1 to 5."""

    change: Change
    amounts: tuple[float, float, float, float, float]

    def amount(self, severity: float) -> float:
        """Of any severity from 1 to 5, linear between two of the table. Raises ValueError for others."""
        if not SEVERITIES[0] <= severity <= SEVERITIES[-1]:
            raise ValueError(f"severity {severity}: expected {SEVERITIES[0]} to {SEVERITIES[-1]}")
        return float(np.interp(severity, SEVERITIES, self.amounts))


def distorted(
    name: str, severity: float, image: np.ndarray, spacing_mm: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[float, ...]]:
    """The image with one artefact, and its spacing. Labels stay where they are.

    name: a key of ARTEFACTS, or ZOOM. Zooming leaves the voxels alone and scales their spacing, so that the network
    sees everything larger or smaller, and the labels need not move.
    """
    if name == ZOOM:
        factor = float(np.interp(severity, SEVERITIES, ZOOM_FACTORS))
        factor = factor if rng.random() < 0.5 else 1 / factor
        return image, tuple(step * factor for step in spacing_mm)
    artefact = ARTEFACTS[name]
    return artefact.change(image, spacing_mm, artefact.amount(severity), rng), tuple(spacing_mm)


def artefact_rng(case: str, name: str) -> np.random.Generator:
    """The generator of one artefact of one case: the severities differ in the amount alone."""
    words = hashlib.sha256(f"{case}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(words[:16], "little"))


def noise(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise; amount: its SD, in SDs of the image."""
    return image + amount * _sd(image) * rng.standard_normal(image.shape, dtype=np.float32)


def speckle(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Multiplicative noise with a grain of about two voxels, as ultrasound has; amount: SD of the factor."""
    grain = rng.standard_normal(image.shape[1:], dtype=np.float32)
    grain = gaussian_filter(grain, _sigmas(0.7, image, spacing_mm), mode="nearest")
    grain /= max(float(grain.std()), 1e-6)
    return _multiplied(image, np.maximum(0, 1 + amount * grain))


def blur(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur, isotropic in mm; amount: its SD in in-plane voxels."""
    return gaussian_filter(image, (0, *_sigmas(amount, image, spacing_mm)), mode="nearest", truncate=3)


def low_resolution(
    image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator
) -> np.ndarray:
    """Reduced in-plane and enlarged again; amount: the factor."""
    shape, factor = image.shape[1:], amount * _enlargement(image, spacing_mm)
    planes = in_plane(spacing_mm)
    small = [max(1, round(side / factor)) if axis in planes else side for axis, side in enumerate(shape)]
    return resample(resample(image, small, LINEAR, antialias=True), shape, LINEAR)


def gamma(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Intensities between the image's extremes to the power exp(amount) or exp(-amount)."""
    low, high = _over_space(np.min, image), _over_space(np.max, image)
    width = np.maximum(high - low, 1e-6)
    exponent = math.exp(amount if rng.random() < 0.5 else -amount)
    return low + width * np.clip((image - low) / width, 0, 1) ** np.float32(exponent)


def bias_field(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Intensities times exp(f): f is a random polynomial over the image, from -amount to amount."""
    field = rng.standard_normal((FIELD_ORDER + 1,) * len(spacing_mm))
    degree = np.indices(field.shape).sum(axis=0)
    field[(degree == 0) | (degree > FIELD_ORDER)] = 0
    for side, step in zip(image.shape[1:], spacing_mm, strict=True):
        places = np.linspace(-1, 1, side) if math.isfinite(step) and side > 1 else np.zeros(side)
        # Contracts the first axis of powers; the axis of places goes to the end.
        field = np.tensordot(field, places ** np.arange(FIELD_ORDER + 1)[:, None], axes=(0, 0))
    low, high = field.min(), field.max()
    field = 2 * (field - low) / max(high - low, 1e-6) - 1
    return _multiplied(image, np.exp(amount * field.astype(np.float32)))


def ghosts(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Copies shifted along an in-plane axis, as periodic motion leaves them; amount: of each, relative to the image.

    Every n-th line of k-space outweighs the others: that puts n - 1 copies at n-ths of the image's side.
    """
    axis = 1 + int(rng.choice(in_plane(spacing_mm)))
    period = int(rng.integers(GHOSTS[0], GHOSTS[1] + 1)) + 1
    low = _over_space(np.min, image)
    lines = scipy.fft.rfft(image - low, axis=axis)
    weights = np.full(lines.shape[axis], 1 - amount, np.float32)
    weights[::period] += amount * period
    lines *= weights.reshape([-1 if at == axis else 1 for at in range(image.ndim)])
    return low + scipy.fft.irfft(lines, image.shape[axis], axis=axis)


def spikes(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """Stripes over each slice, as single corrupt points of k-space leave them; amount: of each, in SDs of the image."""
    planes, enlargement = in_plane(spacing_mm), _enlargement(image, spacing_mm)
    stripes = np.float32(0)
    for _ in range(SPIKES):
        frequency, angle, phase = rng.uniform(*SPIKE_FREQUENCIES) / enlargement, rng.uniform(0, np.pi), rng.uniform()
        wave = np.exp(2j * np.pi * phase)
        for axis, part in zip(planes, (math.sin(angle), math.cos(angle)), strict=True):
            places = np.arange(image.shape[1 + axis])
            wave = wave * _along(np.exp(2j * np.pi * frequency * part * places), axis, len(spacing_mm))
        stripes = stripes + wave.real.astype(np.float32)
    return image + amount * _sd(image) * stripes


def shadow(image: np.ndarray, spacing_mm: Sequence[float], amount: float, rng: np.random.Generator) -> np.ndarray:
    """A dark band from some depth (the first in-plane axis) downwards, as behind bone; amount: what it swallows."""
    down, across = in_plane(spacing_mm)
    depth, width = image.shape[1 + down], image.shape[1 + across]
    start, centre, reach = rng.uniform(0, 0.4), rng.uniform(0.1, 0.9), rng.uniform(0.05, 0.12)
    below = 1 / (1 + np.exp(-(np.arange(depth) / depth - start) / 0.03))
    beside = np.exp(-(((np.arange(width) / width - centre) / reach) ** 2) / 2)
    band = _along(below, down, len(spacing_mm)) * _along(beside, across, len(spacing_mm))
    return _multiplied(image, (1 - amount * band).astype(np.float32))


ARTEFACTS: dict[str, Artefact] = {
    "noise": Artefact(noise, (0.1, 0.2, 0.4, 0.6, 0.8)),
    "speckle": Artefact(speckle, (0.1, 0.2, 0.3, 0.45, 0.6)),
    "blur": Artefact(blur, (0.5, 0.75, 1.0, 1.5, 2.0)),
    "low_resolution": Artefact(low_resolution, (1.25, 1.5, 2.0, 3.0, 4.0)),
    "gamma": Artefact(gamma, (0.15, 0.3, 0.45, 0.65, 0.9)),
    "bias_field": Artefact(bias_field, (0.3, 0.6, 0.9, 1.2, 1.5)),
    "ghosts": Artefact(ghosts, (0.1, 0.18, 0.27, 0.36, 0.45)),
    "spikes": Artefact(spikes, (0.2, 0.4, 0.6, 0.8, 1.0)),
    "shadow": Artefact(shadow, (0.3, 0.45, 0.6, 0.75, 0.9)),
}
ZOOM, ZOOM_FACTORS = "zoom", (1.05, 1.1, 1.2, 1.3, 1.4)


def in_plane(spacing_mm: Sequence[float]) -> tuple[int, int]:
    """The two spatial axes of a slice."""
    across = int(np.argmax(spacing_mm)) if len(spacing_mm) == 3 else None
    first, second = (axis for axis in range(len(spacing_mm)) if axis != across)
    return first, second


def _enlargement(image: np.ndarray, spacing_mm: Sequence[float]) -> float:
    return max(1.0, max(image.shape[1 + axis] for axis in in_plane(spacing_mm)) / REFERENCE_SIDE)


def _sigmas(amount: float, image: np.ndarray, spacing_mm: Sequence[float]) -> list[float]:
    """A width of `amount` in-plane voxels, the same in mm along all spatial axes, in voxels of each."""
    finest = min(spacing_mm[axis] for axis in in_plane(spacing_mm))
    return [amount * _enlargement(image, spacing_mm) * finest / step for step in spacing_mm]


def _multiplied(image: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """What lies above the image's minimum, times a factor: images without a zero of their own as well."""
    low = _over_space(np.min, image)
    return low + (image - low) * factor


def _sd(image: np.ndarray) -> np.ndarray:
    return _over_space(np.std, image)


def _over_space(statistic: Callable, image: np.ndarray) -> np.ndarray:
    """(C, *spatial) -> (C, 1, ...) float32."""
    return statistic(image, axis=tuple(range(1, image.ndim)), keepdims=True).astype(np.float32)


def _along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """(n,) -> an array of `ndim` axes with all of them along `axis`."""
    return values.reshape([-1 if at == axis else 1 for at in range(ndim)])
