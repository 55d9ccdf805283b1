"""float16 with eight bits of mantissa."""

import numpy as np
import pytest
from safetensors.numpy import load

from mednca_pipeline.deploy.half_precision import float16_file, rounded
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.weights import FoldWeights


def test_values_with_eight_bits_stay_and_others_go_to_the_nearest():
    exact = np.array([0, 1, -1, 1 + 2**-8, 0.5, 2**-14, 255.5, -59904, 3 * 2**-22], np.float32)
    np.testing.assert_array_equal(rounded(exact), exact)
    step = 2.0**-8
    values = np.array([1 + 0.4 * step, 1 + 0.6 * step, 1 + 0.5 * step, 1 + 1.5 * step, 2 - 0.3 * step], np.float32)
    np.testing.assert_array_equal(rounded(values), np.float32([1, 1 + step, 1, 1 + 2 * step, 2]))  # ties to even


def test_every_weight_is_within_half_a_step_and_ends_in_two_zeros():
    array = np.random.default_rng(0).normal(0, 0.3, 10_000).astype(np.float32)
    made = rounded(array)
    assert made.dtype == np.float16 and not (made.view(np.uint16) & 3).any()
    normal = np.abs(array) > 2.0**-14
    assert (np.abs(made[normal] - array[normal]) <= np.abs(array[normal]) * 2.0**-9).all()


def test_a_file_has_the_names_and_shapes():
    weights = FoldWeights({"b": np.ones((2, 3), np.float32), "a": np.zeros(1, np.float32)}, "memory")
    made = load(float16_file(weights))
    assert {name: (array.dtype, array.shape) for name, array in made.items()} == {
        "a": (np.float16, (1,)),
        "b": (np.float16, (2, 3)),
    }


@pytest.mark.parametrize("value", [65_530.0, -1e9])
def test_weights_that_are_too_large_are_refused(value):
    with pytest.raises(InputError, match="memory: a: expected weights below 65,000, found .*Use --dtype float32"):
        float16_file(FoldWeights({"a": np.array([value], np.float32)}, "memory"))
