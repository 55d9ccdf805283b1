"""How many copies of a large image prediction holds at once: what decides its memory."""

import tracemalloc

import numpy as np
import pytest

from mednca_pipeline.runtime.grid import SeenImage
from mednca_pipeline.runtime.light_nca import LightNCA, Pass
from mednca_pipeline.runtime.moments import Moments
from mednca_pipeline.runtime.network_input import InputFormat, parts

SIDE = 512
COPY = 4 * SIDE**2  # bytes of one channel
SPARE = 0.3  # of a copy: borders, blocks of rows


def copies(function):
    """What `function` returns, and how many channels' worth of memory it needs at most while it runs."""
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1] / COPY
    finally:
        tracemalloc.stop()


def image(channels):
    return np.random.default_rng(0).random((channels, 1, SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("border", ["reflect", "replicate", "zeros"])
def test_the_rows_of_a_level_need_one_channel_beside_them(border):
    array = image(5)
    seen, needed = copies(lambda: SeenImage(array, 2, border))
    assert needed < 5 + 1 + SPARE
    inner = seen.cells.reshape(SIDE + 2, SIDE + 2, 5)[1:-1, 1:-1]
    np.testing.assert_array_equal(np.moveaxis(inner, -1, 0), array[:, 0])


def test_a_part_is_held_by_its_caller_alone():
    seen = InputFormat(2, (SIDE + 64, SIDE), (32, 32), adjacent_slices=0, position=(SIDE, SIDE))
    array = image(1)

    def first_part():
        given = parts(array, seen)
        part = next(given)
        return part, given, tracemalloc.get_traced_memory()[0] / COPY

    part, _, held = copies(first_part)[0]
    assert part.array.shape == (3, 1, SIDE + 64, SIDE)
    assert held < 3 * (SIDE + 64) / SIDE + SPARE


def test_probabilities_are_filled_in_without_another_copy():
    nca = LightNCA((), 0.5, "replicate", 2, sigmoid=False)
    states = np.array([[0.0, 0.0], [0.0, np.log(3)]], np.float32)
    pointer = np.zeros((1, SIDE, SIDE), np.int32)
    pointer[0, 0, 0] = 1
    probabilities, needed = copies(lambda: Pass(nca, (states,), pointer, ()).probabilities())
    assert needed < 2 + 1  # two outputs, and a block of pointers in NumPy's own type
    np.testing.assert_allclose(probabilities[:, 0, 0, :2], [[0.25, 0.5], [0.75, 0.5]], rtol=1e-6)


def test_a_further_fold_needs_two_outputs_beside_the_mean():
    moments, values = Moments(), image(4)
    moments.add(values)
    _, needed = copies(lambda: moments.add(values + 0))
    assert needed < 4 + 2 + SPARE  # 4 are `values + 0`
    np.testing.assert_array_equal(moments.mean, values)
