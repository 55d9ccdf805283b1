"""Which cells fire in training."""

import pytest
import torch

from mednca_pipeline.models.fire_masks import DrawnMasks, draws_expected


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_share_of_the_iterations_that_use_the_expected_update(share):
    drawn = [draws_expected(share, torch.Generator().manual_seed(seed)) for seed in range(2000)]
    assert sum(drawn) / len(drawn) == pytest.approx(share, abs=0.03)


def test_no_number_is_drawn_where_all_iterations_are_alike():
    generator = torch.Generator().manual_seed(0)
    draws_expected(0.0, generator)
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=torch.Generator().manual_seed(0)))


def test_fire_rate_is_the_probability_to_fire():
    masks = DrawnMasks(torch.Generator().manual_seed(0), 0.75, 8, torch.device("cpu"))
    fired = masks(0, 4, (32, 32))
    assert fired.shape == (4, 8, 1, 32, 32)
    assert fired.float().mean().item() == pytest.approx(0.75, abs=0.01)
