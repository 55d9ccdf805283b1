"""Augmentation after nnU-Net's default (Isensee et al. 2021, supplementary note 4), mostly by batchgenerators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from batchgenerators.transforms.abstract_transforms import AbstractTransform, Compose
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform,
    ContrastAugmentationTransform,
    GammaTransform,
)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.resample_transforms import SimulateLowResolutionTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform

from ..training.spatial import RotateAndScale


def training_transforms(
    image_size: tuple[int, ...], mirror_axes: tuple[int, ...] = (), frequency: float = 1.0, slices: int = 1
) -> AbstractTransform:
    """The transforms for samples of `image_size` (2 or 3 axes); `mirror_axes` are flipped with probability 0.5 each.

    frequency: how often each of the others is applied, relative to nnU-Net. slices: how many slices of each
    image channel a sample holds (see runtime.slices); their intensities change alike.
    Edges are replicated where a transform looks outside the image, in image and labels alike.
    """
    per_channel = slices == 1
    share = 0.5 if per_channel else 1.0  # of the channels
    spatial = RotateAndScale(image_size, 0.3 * frequency)
    intensity = [
        GaussianNoiseTransform(p_per_sample=0.1 * frequency),
        GaussianBlurTransform(
            (0.5, 1.0), different_sigma_per_channel=per_channel, p_per_sample=0.2 * frequency, p_per_channel=share
        ),
        BrightnessMultiplicativeTransform((0.75, 1.25), per_channel, p_per_sample=0.15 * frequency),
        ContrastAugmentationTransform(per_channel=per_channel, p_per_sample=0.15 * frequency),
        SimulateLowResolutionTransform(
            (0.5, 1.0), p_per_channel=share, order_upsample=1, p_per_sample=0.15 * frequency
        ),
        GammaTransform(
            (0.7, 1.5), invert_image=True, per_channel=per_channel, retain_stats=True, p_per_sample=0.1 * frequency
        ),
        GammaTransform(
            (0.7, 1.5), invert_image=False, per_channel=per_channel, retain_stats=True, p_per_sample=0.3 * frequency
        ),
    ]
    mirror = [MirrorTransform(mirror_axes)] if mirror_axes else []
    return Compose([spatial, *(intensity if per_channel else [_OfEachImage(Compose(intensity), slices)]), *mirror])


class _OfEachImage(AbstractTransform):
    """Transforms the intensities of each image channel by itself, and of its slices alike."""

    def __init__(self, transform: AbstractTransform, slices: int) -> None:
        self.transform, self.slices = transform, slices

    def __call__(self, **sample: np.ndarray) -> dict[str, np.ndarray]:
        data = sample["data"]  # (B, slices * C, *spatial)
        channels = data.shape[1] // self.slices
        for channel in range(channels):
            data[:, channel::channels] = self.transform(data=data[:, channel::channels].copy())["data"]
        return sample


def augment(
    image: np.ndarray, labels: np.ndarray, transforms: AbstractTransform, entropy: np.random.SeedSequence
) -> tuple[np.ndarray, np.ndarray]:
    """image (C, *image_size) float32 and labels (*image_size), both transformed: a pure function of its arguments."""
    with _global_generators(entropy):
        out = transforms(data=image[None].copy(), seg=labels[None, None].astype(np.float32))
    return out["data"][0].astype(np.float32, copy=False), out["seg"][0, 0].astype(labels.dtype)


@contextmanager
def _global_generators(entropy: np.random.SeedSequence) -> Iterator[None]:
    """Seeds NumPy's and Python's global generators, which batchgenerators draws from, and puts them back after."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    words = entropy.generate_state(8)
    np.random.seed(words[:4])
    random.seed(words[4:].tobytes())
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
