import math

import pytest

from mednca_pipeline.training.guard import MAX_MAGNITUDE, STRIKES, WARMUP, Guard


@pytest.mark.parametrize("loss, magnitude", [(math.nan, 1.0), (math.inf, 1.0), (0.5, 2 * MAX_MAGNITUDE)])
def test_guard_sees_an_overflow_at_once(loss, magnitude):
    assert Guard().problem(0.9, 1.0) is None
    assert Guard().problem(loss, magnitude)


def test_guard_forgives_a_hard_batch_but_not_a_row_of_them():
    guard = Guard()
    for _ in range(WARMUP):
        assert guard.problem(0.5, 1.0) is None
    assert guard.problem(2.0, 1.0) is None and guard.problem(0.5, 1.0) is None and guard.strikes == 0
    assert [guard.problem(2.0, 1.0) for _ in range(STRIKES - 1)] == [None] * (STRIKES - 1)
    assert "2.000 from about 0.500" in guard.problem(2.0, 1.0)


def test_guard_lowers_the_rate_with_every_restore():
    early, late = Guard(0.3, 60), Guard(0.9, 90, restores=2, rate_scale=0.25)
    after = early.after_restore(late)
    assert (after.mean_loss, after.seen, after.restores, after.rate_scale) == (0.3, 60, 3, 0.125)
