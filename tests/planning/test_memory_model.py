import pytest

from mednca_pipeline.planning.memory import largest_batch, nca_step_bytes, parse_memory, unet_step_bytes
from mednca_pipeline.planning.plans import LevelPlan
from mednca_runtime.errors import InputError

NCA = {
    "size": (64, 64),
    "n_image": 1,
    "n_outputs": 3,
    "channels": 16,
    "hidden": 64,
    "perception": "matrix",
    "batch_size": 8,
}


def nca(steps=4, patch=(24, 24), **changes):
    levels = (LevelPlan((4, 4), 10), LevelPlan((1, 1), steps, patch))
    return nca_step_bytes(levels, **{**NCA, **changes})


def unet(patch=(64, 64), features=(16, 32, 64), batch_size=4):
    return unet_step_bytes(patch, ((1, 1), (2, 2), (2, 2)), features, 1, 3, 100_000, batch_size)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 5},
        {"patch": (32, 32)},
        {"patch": None},
        {"size": (96, 64)},
        {"n_image": 3},
        {"n_outputs": 5},
        {"channels": 24},
        {"hidden": 96},
        {"batch_size": 9},
    ],
)
def test_more_of_anything_takes_more_memory_in_an_nca(change):
    assert nca(**change) > nca()


@pytest.mark.parametrize("change", [{"patch": (128, 64)}, {"features": (32, 64, 128)}, {"batch_size": 5}])
def test_more_of_anything_takes_more_memory_in_a_unet(change):
    assert unet(**change) > unet()


def test_nca_memory_follows_the_measured_peaks():
    whole = (LevelPlan((1, 1), 8),)
    measured = 4_355_000_000  # 8 slices of 256x256, C16 H64, 8 steps; torch 2.13 on a CPU
    assert nca_step_bytes(whole, **{**NCA, "size": (256, 256)}) == pytest.approx(measured, rel=0.15)
    paper = (LevelPlan((4, 4), 64), LevelPlan((1, 1), 64, (64, 64)))
    big = {**NCA, "size": (256, 256), "channels": 32, "hidden": 128, "perception": "paper"}
    assert nca_step_bytes(paper, **big) == pytest.approx(7_115_000_000, rel=0.15)


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
