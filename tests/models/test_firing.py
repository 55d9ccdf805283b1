import pytest

from mednca_pipeline.models.firing import computed_share


@pytest.mark.parametrize(
    ("given", "share"),
    [((0.5, "cpu"), 0.5), ((0.6, "cpu"), 0.6), ((0.75, "cpu"), 1), ((0.5, "cuda"), 1)],
)
def test_only_the_cells_that_fire_are_computed_where_it_runs(given, share):
    assert computed_share(*given) == share
