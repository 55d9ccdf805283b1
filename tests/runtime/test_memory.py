"""Amounts of memory, and images that would need too much of it."""

import pytest

from mednca_pipeline.runtime import memory
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.memory import check_memory, free_memory_bytes, parse_memory


@pytest.mark.parametrize(
    ("text", "found"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("800mb", 8 * 10**8), ("2GIB", 2**31)]
)
def test_memory_is_read_with_its_unit(text, found):
    assert parse_memory(text) == found


@pytest.mark.parametrize("text", ["4", "GB", "-1GB", "0GB", "4 cats"])
def test_other_memory_texts_are_refused(text):
    with pytest.raises(InputError, match="such as 4GB"):
        parse_memory(text)


def test_an_image_that_fits_exactly_is_taken_and_one_byte_less_is_refused():
    """2 channels of 10 voxels become 1000, with 3 maps: 4 (2 x 10 + 5 x 1000 + 10) bytes."""
    needed = 4 * (20 + 5000 + 10)
    check_memory(2, (2, 5), (10, 100), 3, needed)
    with pytest.raises(InputError) as error:
        check_memory(2, (2, 5), (10, 100), 3, needed - 1)
    assert error.value.found == "2 x 5 pixels that become 10 x 100 after resampling, which need 0.0201 MB or more"
    assert "at most 0.0201 MB of memory, as given" in error.value.expected and "--memory" in error.value.remedy


def test_without_an_amount_what_is_free_counts(monkeypatch):
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 1000)
    check_memory(1, (10, 10), (10, 12))
    with pytest.raises(InputError, match="at most 0.001 MB of memory, as is free"):
        check_memory(1, (10, 10), (15, 12))
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: None)  # a system that says nothing
    check_memory(1, (10, 10), (15, 12))


def test_what_is_free_is_less_than_the_containers_limit(tmp_path, monkeypatch):
    for name, text in {"max": "5000", "current": "3000", "stat": "anon 1\nactive_file 500\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text, encoding="ascii")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert free_memory_bytes() == 2500
    (tmp_path / "memory.max").write_text("max", encoding="ascii")
    assert free_memory_bytes() is None or free_memory_bytes() > 10_000_000
