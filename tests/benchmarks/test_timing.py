"""What the rates of the speed benchmarks are counted with."""

from dataclasses import replace

from benchmarks import timing
from benchmarks.authors import published
from mednca_pipeline.plans.model_plans import LevelPlan

LEVELS = (LevelPlan((2, 2), 4), LevelPlan((1, 1), 2))
PLAN = replace(published(), channels=5, hidden=4, fire_rate=0.5, levels=LEVELS)
GRIDS = [(2, 3), (4, 6)]


def test_fixed_channels_are_counted_once_per_level_and_the_others_in_every_step():
    step, once = 2 * 10 * 3 * 4, 2 * 9 * 2 * 4  # 3 free channels, 2 fixed, 4 hidden units
    expected = 6 * (0.5 * 4 * step + once) + 24 * (0.5 * 2 * step + once)
    assert timing.firing_flops(PLAN, 2, GRIDS, batch=1) == expected
    assert timing.firing_flops(PLAN, 2, GRIDS, batch=3) == 3 * expected


def test_in_training_no_gradient_is_counted_for_the_fixed_channels():
    step, once = 2 * 10 * 3 * 4, 2 * 9 * 2 * 4
    expected = 6 * (0.5 * 4 * 3 * step + 2 * once) + 24 * (0.5 * 2 * 3 * step + 2 * once)
    assert timing.firing_flops(PLAN, 2, GRIDS, batch=1, training=True) == expected


def test_three_dimensions_have_27_neighbours():
    levels = (LevelPlan((1, 1, 1), 1),)
    found = timing.firing_flops(replace(PLAN, levels=levels), 2, [(1, 1, 1)], batch=1)
    assert found == 0.5 * 2 * 28 * 3 * 4 + 2 * 27 * 2 * 4
