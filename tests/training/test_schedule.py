import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.training.schedule import cosine, epoch_length, iterations_for, parse_budget, until_seen


def test_schedule_by_hand():
    assert parse_budget("90s") == 90 and parse_budget("20min") == 1200 and parse_budget("1.5h") == 5400
    assert cosine(0, 100) == 1 and cosine(50, 100) == pytest.approx(0.5) and cosine(100, 100) == pytest.approx(0)
    assert epoch_length(1000) == 10 and epoch_length(7) == 1
    assert epoch_length(260) == 10 and epoch_length(100) == 5  # their ends cost as much as some iterations
    assert iterations_for(600, 0.1, 1.0) == 5010  # 99 epochs of 51, each ends in a second
    assert iterations_for(60, 1.0, 1.0) == 40  # twenty epochs of two
    assert iterations_for(1.0, 1.0, 1.0) == 20
    with pytest.raises(InputError, match="20min"):
        parse_budget("20 parsecs")


def test_a_schedule_ends_where_each_image_was_seen_often_enough():
    assert until_seen(10_000, 300, images=80, batch_size=8) == 3000
    assert until_seen(2000, 300, images=80, batch_size=8) == 2000
    assert until_seen(10_000, 0, images=1, batch_size=8) == 10_000
    assert until_seen(10, 1, images=1, batch_size=8) == 1
