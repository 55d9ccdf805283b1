import pytest

from mednca_pipeline.planning.memory import largest_batch, parse_memory
from mednca_pipeline.runtime.errors import InputError


def test_batch_is_halved_until_it_fits_what_the_process_leaves():
    assert largest_batch(8, 4_000_000_000, lambda batch: batch * 1_000_000_000) == 2
    assert largest_batch(8, 20_000_000_000, lambda batch: batch * 1_000_000_000) == 8
    assert largest_batch(8, 600_000_000, lambda batch: batch * 1_000_000_000) == 1


@pytest.mark.parametrize(
    ("text", "found"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("800mb", 8 * 10**8), ("2GIB", 2**31)]
)
def test_memory_is_read_with_its_unit(text, found):
    assert parse_memory(text) == found


@pytest.mark.parametrize("text", ["4", "GB", "-1GB", "0GB", "4 cats"])
def test_other_memory_texts_are_refused(text):
    with pytest.raises(InputError, match="such as 4GB"):
        parse_memory(text)
