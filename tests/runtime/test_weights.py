"""Weights from safetensors files: float32 in memory, and nothing that is no weight."""

import numpy as np
import pytest
from safetensors.numpy import save

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.weights import parse_weights, read_weights


def test_float32_and_float16_are_read_as_float32(tmp_path):
    for dtype in (np.float32, np.float16):
        (tmp_path / "w.safetensors").write_bytes(save({"a": np.array([[0.5, -2]], dtype)}))
        found = read_weights(tmp_path / "w.safetensors")
        assert found.source == str(tmp_path / "w.safetensors") and found.arrays["a"].dtype == np.float32
        np.testing.assert_array_equal(found.arrays["a"], [[0.5, -2]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x: expected a safetensors file"),
        (b"\x80\x04K\x01.", "x: expected a safetensors file"),
        (save({"a": np.ones(2, np.float64)}), "x: a: expected float32 or float16, found float64"),
        (save({"a": np.array([1, np.nan], np.float32)}), "x: a: expected finite numbers"),
        (save({"a": np.array([1, np.inf], np.float16)}), "x: a: expected finite numbers"),
    ],
)
def test_anything_else_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        parse_weights(content, "x")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="expected the weights of a fold, found no such file"):
        read_weights(tmp_path / "w.safetensors")
