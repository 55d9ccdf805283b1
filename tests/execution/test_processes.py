"""How many processes work beside a training."""

import pytest

from mednca_pipeline.execution.processes import augmenting_workers


@pytest.mark.parametrize(
    ("n_cores", "device", "workers"), [(1, "cpu", 0), (2, "cpu", 0), (4, "cpu", 1), (2, "cuda", 1)]
)
def test_augmenting_workers_leave_the_threads_their_cores(n_cores, device, workers):
    assert augmenting_workers(n_cores, device) == workers
