import traceback
from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.training.batches import BatchRecipe, Sampler
from mednca_pipeline.training.workers import BatchSource

from .preprocessed_store import TWO_CLASSES, write_store

pytestmark = pytest.mark.slow


@pytest.fixture
def recipe(tmp_path):
    rng = np.random.default_rng(0)
    shape = (5, 14, 18)
    labels = np.zeros(shape, np.uint8)
    labels[1:4, 4:9, 4:9] = 1
    folder = tmp_path / "Vorverarbeitet_äöü"
    write_store(folder, {f"fall_{i}_ß": (rng.normal(size=(2, *shape)), labels) for i in range(3)}, dim=2)
    cases = tuple(f"fall_{i}_ß" for i in range(3))
    return BatchRecipe(folder, cases, TWO_CLASSES, 2, (16, 24), (8, 8), (4, 4), batch_size=3, seed=4)


def _assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for field, expected in zip(batch, other, strict=True):
            np.testing.assert_array_equal(field, expected)


def test_in_process_batches_come_in_order_from_any_start(recipe):
    source = BatchSource(recipe)
    first = [next(source) for _ in range(9)]
    _assert_same([next(BatchSource(recipe, start_iteration=7))], first[7:8])
    _assert_same([Sampler(recipe).batch(3)], first[3:4])
    source.close()
    with pytest.raises(StopIteration):
        next(source)


def test_workers_make_the_same_batches_in_the_same_order(recipe):
    expected = [Sampler(recipe).batch(iteration) for iteration in range(2, 8)]
    with BatchSource(recipe, start_iteration=2, workers=2) as source:
        _assert_same([next(source) for _ in range(6)], expected)
    with pytest.raises(StopIteration):
        next(source)


def test_error_in_a_worker_carries_case_and_traceback(recipe):
    bad = replace(recipe, cases=recipe.cases[:1], factor=(0, 0))
    with BatchSource(bad, workers=1) as source:
        with pytest.raises(RuntimeError, match="case fall_0_ß .*iteration 0, sample 0") as caught:
            next(source)
    text = "".join(traceback.format_exception(caught.value))
    assert "ZeroDivisionError" in text and "in _sample" in text  # where it happened, not where it was awaited
