"""How long the plan's schedule would have been: by hand for a training of 40 iterations in 2 minutes."""

from types import SimpleNamespace

import pytest

from mednca_pipeline.training import planned
from mednca_pipeline.training.options import TrainingOptions


@pytest.fixture
def planned_of(monkeypatch):
    """(options, most_views, finished, device) -> planned iterations; the plan has 30 minutes, 10 with CUDA."""
    monkeypatch.setattr(planned, "training_images", lambda job: 32)

    def count(most_views=0, finished=True, device="cpu", settled=40, **asked):
        training = SimpleNamespace(minutes={"cpu": 30.0, "cuda": 10.0}, most_views=most_views, batch_size=16)
        job = SimpleNamespace(
            options=TrainingOptions("1", 0, **asked),
            plan=SimpleNamespace(training=training),
            device=SimpleNamespace(type=device),
        )
        state = SimpleNamespace(iterations=settled, iteration=40, minutes=2.0)
        return planned.planned_iterations(job, state, finished)

    return count


def test_a_training_by_the_plan_has_its_own_count(planned_of):
    assert planned_of(finished=False) == planned_of() == 40
    assert planned_of(finished=False, settled=0) is None  # not timed yet


def test_another_training_has_what_its_speed_gives(planned_of):
    for asked in ({"iterations": 40}, {"budget_s": 120.0}, {"resume": True}):
        assert planned_of(**asked) == 600  # 20 a minute for 30 minutes
        assert planned_of(**asked, finished=False) is None
    assert planned_of(budget_s=120.0, device="cuda") == 200
    assert planned_of(budget_s=120.0, most_views=300) == 600  # 300 views of 32 slices in batches of 16
    assert planned_of(budget_s=120.0, most_views=100) == 200


def test_what_the_caller_knows_is_kept(planned_of):
    assert planned_of(iterations=40, planned_iterations=77, finished=False) == 77
