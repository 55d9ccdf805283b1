import math
import warnings

import numpy as np
import pytest
from batchgenerators.transforms.spatial_transforms import SpatialTransform
from scipy.ndimage import gaussian_filter

from mednca_pipeline.training.spatial import RotateAndScale, rotation, transformed


def _smooth(size, sigma=3):
    image = gaussian_filter(np.random.default_rng(0).normal(size=size), sigma)
    return (image / image.std()).astype(np.float32)[None]


@pytest.mark.parametrize("size", [(12, 9), (5, 8, 7)])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_identity_changes_nothing(size, mode):
    image = _smooth(size)
    np.testing.assert_allclose(transformed(image, np.eye(len(size)), mode), image, atol=1e-5)


def test_quarter_turn_is_exact():
    image = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    turned = transformed(image, rotation([math.pi / 2]), "nearest")[0]
    np.testing.assert_array_equal(turned, np.rot90(image[0]))
    back = transformed(turned[None], rotation([-math.pi / 2]), "nearest")
    np.testing.assert_array_equal(back, image)


def test_a_volume_of_one_slice_turns_as_its_slice_and_without_a_warning():
    volume = np.random.default_rng(0).random((1, 1, 9, 12), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        turned = transformed(volume, rotation([0.3, 0.0, 0.0]), "bilinear")
    assert np.allclose(turned[:, 0], transformed(volume[:, 0], rotation([0.3]), "bilinear"), atol=1e-6)


def test_half_a_scale_shows_half_the_image_and_edges_are_repeated():
    ramp = np.broadcast_to(np.arange(9, dtype=np.float32), (1, 7, 9))
    near = transformed(ramp, 0.5 * np.eye(2), "bilinear")[0, 0]
    np.testing.assert_allclose(near, 4 + (np.arange(9) - 4) / 2, atol=1e-5)
    far = transformed(ramp, 2 * np.eye(2), "bicubic")[0, 0]
    np.testing.assert_allclose(far, np.clip(4 + 2 * (np.arange(9) - 4), 0, 8), atol=1e-4)


@pytest.mark.parametrize("size", [(56, 40), (20, 36, 28), (4, 32, 32)])
def test_draws_and_moves_as_batchgenerators_does(size):
    """The same seed gives the same labels, and an image that differs by the kernel alone (2D) or by rounding (3D)."""
    angle = math.radians(20 if len(size) == 2 else 15)
    out_of_plane = (-angle, angle) if size == (20, 36, 28) else (0.0, 0.0)
    theirs = SpatialTransform(
        size,
        random_crop=False,
        do_elastic_deform=False,
        angle_x=(-angle, angle),
        angle_y=out_of_plane,
        angle_z=out_of_plane,
        p_rot_per_sample=0.6,
        scale=(0.7, 1.4),
        p_scale_per_sample=0.6,
        order_data=3 if len(size) == 2 else 1,
        border_mode_data="nearest",
        order_seg=0,
        border_mode_seg="nearest",
    )
    image, labels = _smooth(size)[None], (_smooth(size, 2) > 0).astype(np.float32)[None]
    moved = 0
    for seed in range(12):
        results = []
        for transform in (theirs, RotateAndScale(size, 0.6)):
            np.random.seed(seed)
            results.append((transform(data=image.copy(), seg=labels.copy()), np.random.random()))
        (expected, after), (found, after_ours) = results
        assert after == after_ours
        np.testing.assert_allclose(found["data"], expected["data"], atol=0.05 if len(size) == 2 else 1e-4)
        assert (found["seg"] != expected["seg"]).mean() < 1e-3  # places half way between two voxels
        moved += not np.array_equal(found["seg"], labels)
    assert 4 < moved < 12


def test_untouched_unless_drawn():
    image, labels = _smooth((8, 8))[None], np.ones((1, 1, 8, 8), np.float32)
    assert RotateAndScale((8, 8), 0.0)(data=image, seg=labels)["data"] is image
