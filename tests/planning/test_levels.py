import pytest

from mednca_pipeline.planning.levels import (
    describe_factors,
    isotropic_factor,
    largest_factors,
    level_factors,
    level_steps,
    wanted_steps,
)

FLAT = (1.0, 1.0)


@pytest.mark.parametrize(("extent", "factor"), [(0.5, 1), (1, 2), (1.9, 2), (2, 4), (4, 8), (8, 16)])
def test_smallest_structure_spans_half_a_cell_of_the_coarsest_grid(extent, factor):
    assert largest_factors((extent, extent)) == (factor, factor)


def test_hippocampus_comes_out_at_4_2_1_with_10_6_4_steps():
    levels = level_factors((55, 38), (14, 16), FLAT, 0.75)
    assert levels.value == ((4, 4), (2, 2), (1, 1))
    assert level_steps((55, 38), levels.value, 0.75).value == (10, 6, 4)


def test_level_is_added_where_the_coarsest_grid_cannot_be_crossed():
    levels = level_factors((256, 256), (130, 70), FLAT, 0.75)  # at /4 64 cells need 43 steps, at /8 22, at /16 11
    assert [factor[0] for factor in levels.value] == [16, 8, 4, 2, 1]
    assert "more than 3 levels, so that 12 steps cross" in levels.because
    assert level_steps((256, 256), levels.value, 0.75).value == (11, 6, 6, 6, 4)


def test_levels_grow_with_the_grid_up_to_eight():
    levels = level_factors((2048, 2048), (900, 700), FLAT, 0.75)
    assert [factor[0] for factor in levels.value] == [128, 64, 32, 16, 8, 4, 2, 1]
    assert level_steps((2048, 2048), levels.value, 0.75).value == (11, 6, 6, 6, 6, 6, 6, 4)
    larger = level_factors((8192, 8192), (900, 700), FLAT, 0.75)
    assert len(larger.value) == 8 and "no coarser level is allowed" in larger.because


def test_extent_rule_wins_and_says_so():
    levels = level_factors((256, 256), (2.5, 2.5), FLAT, 0.75)
    assert levels.value == ((4, 4), (2, 2), (1, 1))
    assert "do not cross" in levels.because and "lose that structure" in levels.because
    assert level_steps((256, 256), levels.value, 0.75).value[0] == 32


def test_small_lesions_do_not_forbid_to_know_the_whole_image():
    levels = level_factors((276, 408), (12, 26), FLAT, 0.75)  # breast ultrasound
    assert levels.value == ((16, 32), (16, 16), (8, 8), (4, 4), (2, 2), (1, 1))
    assert level_steps((276, 408), levels.value, 0.75).value == (12, 6, 6, 6, 6, 4)


def test_tiny_structure_leaves_a_single_level():
    levels = level_factors((40, 40), (0.9, 0.9), FLAT, 0.75)
    assert levels.value == ((1, 1),)
    assert level_steps((40, 40), levels.value, 0.75).value == (27,)  # ceil(20 / 0.75)


def test_steps_stay_within_8_and_32():
    assert level_steps((16, 16), ((4, 4), (1, 1)), 0.75).value == (8, 4)
    assert level_steps((400, 400), ((4, 4), (1, 1)), 0.75).value == (32, 4)
    assert wanted_steps((14, 11), 0.75) == 10  # ceil(7 / 0.75)


def test_coarse_axis_keeps_its_cells_until_the_others_caught_up():
    spacing = (5.0, 0.5, 0.5)
    assert [isotropic_factor(scale, spacing) for scale in (1, 4, 8, 16)] == [
        (1, 1, 1),
        (1, 4, 4),
        (1, 8, 8),
        (2, 16, 16),
    ]
    levels = level_factors((20, 256, 256), (5, 30, 30), spacing, 0.75)
    assert levels.value == ((2, 16, 16), (1, 8, 8), (1, 4, 4), (1, 2, 2), (1, 1, 1))


def test_axes_are_limited_one_by_one():
    assert level_factors((64, 64), (1, 40), FLAT, 0.75).value == ((2, 4), (2, 2), (1, 1))  # /8 helps one axis only


def test_factors_are_described_per_axis_only_where_they_differ():
    assert describe_factors(((1, 8, 8), (2, 2, 2), (1, 1, 1))) == "/1x8x8, /2, /1"
