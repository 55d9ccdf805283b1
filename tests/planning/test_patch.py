import math

import pytest

from mednca_pipeline.planning.patch import aligned_patch, containing, patch_sizes
from mednca_pipeline.runtime.errors import InputError

THREE = ((4, 4), (2, 2), (1, 1))


def test_small_images_train_their_finest_level_on_24x24():
    assert patch_sizes((56, 40), THREE).value == (None, None, (24, 24))


def test_images_of_up_to_1024_cells_are_seen_as_a_whole():
    assert patch_sizes((32, 32), THREE).value == (None, None, None)


def test_every_level_above_1024_cells_gets_a_patch():
    four = ((8, 8), (4, 4), (2, 2), (1, 1))
    assert patch_sizes((256, 256), four).value == (None, (32, 32), (32, 32), (32, 32))


def test_volumes_are_trained_on_24_cubed():
    factors = tuple((f,) * 3 for f in (4, 2, 1))
    assert patch_sizes((44, 56, 40), factors).value == (None, None, (24, 24, 24))


def test_coarsest_level_gets_a_patch_only_when_it_is_huge():
    chosen = patch_sizes((2048, 2048), ((2, 2), (1, 1)))
    assert chosen.value == ((64, 64), (32, 32))
    assert "1024x1024" in chosen.because


@pytest.mark.parametrize("factors", [((16, 16), (8, 8), (4, 4), (2, 2), (1, 1)), ((4, 8), (4, 4), (2, 2), (1, 1))])
def test_windows_are_aligned_and_nested(factors):
    size = (304, 400)
    windows = [
        size if patch is None else tuple(side * f for side, f in zip(patch, factor, strict=True))
        for patch, factor in zip(patch_sizes(size, factors).value, factors, strict=True)
    ]
    for outer, inner in zip(windows, windows[1:], strict=False):
        assert all(i <= o for i, o in zip(inner, outer, strict=True))
    assert all(side % coarse == 0 for window in windows for side, coarse in zip(window, factors[0], strict=True))


def test_patch_stays_inside_a_short_axis():
    assert aligned_patch((32, 32), (8, 100), (1, 1), (4, 4)) == (8, 32)
    assert aligned_patch((24, 24), (100, 100), (1, 1), (16, 16)) == (16, 16)


def test_users_patch_grows_the_patches_around_it():
    chosen = containing((64, 64), (256, 256), THREE, ((40, 40), (16, 16), (32, 32)))
    assert chosen == ((40, 40), (32, 32), (64, 64))
    assert containing((300, 300), (256, 256), THREE, (None, (32, 32), (32, 32))) == (None, (128, 128), None)


def test_users_patch_must_fit_whole_coarse_cells():
    with pytest.raises(InputError, match="multiples of the coarsest level's factor 4x4"):
        containing((30, 32), (256, 256), THREE, (None, None, (32, 32)))


def test_smaller_limits_give_smaller_patches():
    cells = [math.prod(patch_sizes((128, 128), THREE, limit).value[-1]) for limit in (32, 16, 8)]
    assert cells == [1024, 256, 64]
