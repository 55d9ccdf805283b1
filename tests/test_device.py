"""The device to compute on."""

import pytest
import torch

from mednca_pipeline.device import choose_device, peak_memory_bytes
from mednca_pipeline.runtime.errors import InputError


def test_auto_is_the_best_that_is_there():
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(InputError, match="a device of this machine .*cpu.*found 'tpu'"):
        choose_device("tpu")


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory_bytes(torch.device("cpu"))
    held = torch.ones(300 * 2**20 // 4)
    assert peak_memory_bytes(torch.device("cpu")) >= before and peak_memory_bytes(torch.device("cpu")) > held.nbytes
