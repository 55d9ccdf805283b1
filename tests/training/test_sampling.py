import numpy as np
import pytest

from mednca_pipeline.training import sampling


@pytest.mark.parametrize("share, expected", [(0.0, 0), (0.25, 30), (1 / 3, 40), (0.5, 60), (1.0, 120)])
def test_share_of_forced_samples_is_exact(share, expected):
    assert sum(sampling.shows_foreground(number, share) for number in range(120)) == pytest.approx(expected, abs=1)


def test_window_follows_the_voxel():
    rng = np.random.default_rng(0)
    assert sampling.patch_origin((32, 32), (8, 8), (4, 4), (0, 31), rng) == (0, 24)
    assert sampling.patch_origin((32, 32), (8, 8), (4, 4), (16, 17), rng) == (12, 12)
    # 30 - 8 is no multiple of 4: the last origin is 20, and voxel 29 stays out of reach
    assert sampling.patch_origin((30,), (8,), (4,), (29,), rng) == (20,)


def test_patches_lie_at_the_outline_of_what_they_show():
    mask = np.zeros((9, 9), bool)
    mask[2:9, 1:8] = True
    outline = sampling.outline_of(mask)
    assert outline.sum() == 7 + 2 * 6  # three sides of 7 x 7; the fourth is the image's own end
    assert not outline[3:9, 2:7].any() and outline[8, 1]
    assert sampling.outline_of(np.ones((3, 4), bool)).all() and not sampling.outline_of(np.zeros((3, 4), bool)).any()
