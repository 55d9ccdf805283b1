"""Philox 4x32-10 by its published answers, and the masks drawn from it."""

import time

import numpy as np
import pytest

from mednca_pipeline.runtime.fire_masks import RandomRun, fire_masks, philox4x32

ONES = 0xFFFFFFFF
SEED = 0x1234_5678_9ABC_DEF0


def fire_mask(seed, run, level, step, shape, rate):
    return fire_masks(RandomRun(seed, run, rate), level, range(step, step + 1), shape)[0]


@pytest.mark.parametrize(  # Random123's kat_vectors, philox4x32 with 10 rounds
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES), (ONES,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(key, counter, words):
    assert tuple(int(word) for word in philox4x32(key, counter)) == words


def test_the_zero_seed_by_hand():
    # words 6627e8d5 e169c58d bc57ac4c 9b00dbd8 are 0.40, 0.88, 0.74, 0.61 of 2^32
    assert fire_mask(0, 0, 0, 0, (2, 2), 0.5).tolist() == [[True, False], [False, False]]
    assert fire_mask(0, 0, 0, 0, (2, 2), 0.65).tolist() == [[True, False], [False, True]]


def test_a_cell_fires_only_strictly_below_the_limit():
    word = 0x6627E8D5
    assert not fire_mask(0, 0, 0, 0, (1,), word / 2**32)[0]
    assert fire_mask(0, 0, 0, 0, (1,), (word + 1) / 2**32)[0]
    assert fire_mask(0, 0, 0, 0, (1,), (word + 0.5) / 2**32)[0]


def test_every_cell_by_its_own_counter():
    seed, run, level, step, shape = SEED, 3, 2, 7, (3, 5, 3)
    mask = fire_mask(seed, run, level, step, shape, 0.5).reshape(-1)
    for cell in range(45):
        words = philox4x32((0x9ABC_DEF0, 0x1234_5678), (cell // 4, step, level, run))
        assert mask[cell] == (int(words[cell % 4]) < 2**31)


@pytest.mark.parametrize("shape", [(7,), (5, 6), (3, 100, 120)])
def test_several_steps_are_the_single_steps(shape):
    masks = fire_masks(RandomRun(SEED, 1, 0.5), 2, range(3, 8), shape)
    assert masks.shape == (5, *shape)
    assert masks.dtype == bool
    for index, mask in enumerate(masks):
        assert np.array_equal(mask, fire_mask(SEED, 1, 2, 3 + index, shape, 0.5))


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((11, 13), (slice(2, 9), slice(3, 10))),
        ((11, 13), (slice(2, 9), slice(None))),
        ((6, 7, 9), (slice(1, 4), slice(2, 7), slice(5, 6))),
        ((6, 7, 9), (slice(3, 5), slice(None), slice(None))),
        ((6, 7, 9), (slice(None), slice(None), slice(-2, None))),
        ((41,), (slice(17, 30),)),
        ((6, 7), (slice(3, 3), slice(None))),
    ],
)
def test_a_window_is_cut_from_the_whole_mask(shape, window):
    run = RandomRun(SEED, 0, 0.5)
    whole = fire_masks(run, 1, range(3), shape)
    assert np.array_equal(fire_masks(run, 1, range(3), shape, window), whole[(slice(None), *window)])


def test_the_share_of_firing_cells():
    for rate in (0.1, 0.5, 0.9):
        mask = fire_mask(7, 0, 0, 0, (400, 500), rate)
        assert mask.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / mask.size))
    assert fire_mask(0, 0, 0, 0, (3, 3), 1.0).all()
    assert not fire_mask(0, 0, 0, 0, (3, 3), 0.0).any()


def test_seed_run_level_and_step_each_give_another_mask():
    base = fire_mask(1, 0, 0, 0, (200, 200), 0.5)
    others = [(2, 0, 0, 0), (1 + 2**32, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]
    for other in others:
        assert (fire_mask(*other, (200, 200), 0.5) == base).mean() == pytest.approx(0.5, abs=0.02)


def test_a_large_mask_takes_milliseconds():
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        fire_mask(1, 0, 0, 0, (48, 56, 40), 0.5)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.02  # 1.2 ms on one quiet core
