import math
from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.evaluation.artefacts import ARTEFACTS
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.training.artefacts import ArtefactRecipe, with_artefacts

ALWAYS = ArtefactRecipe(1.0, tuple(ARTEFACTS), (math.inf, 1.0, 1.0), standardised=True)


@pytest.fixture
def slices():
    """Two image channels, three equal adjacent slices of each."""
    image = np.random.default_rng(0).normal(size=(2, 24, 32)).astype(np.float32)
    return np.concatenate([image] * 3)


def _changed(image, recipe, seed, slices=3):
    return with_artefacts(image, recipe, slices, np.random.default_rng(seed))


def test_rate_is_the_share_of_changed_samples(slices):
    for rate in (0.0, 0.3, 1.0):
        recipe = replace(ALWAYS, rate=rate)
        changed = sum(_changed(slices, recipe, seed) is not slices for seed in range(200))
        assert changed == pytest.approx(200 * rate, abs=20)


@pytest.mark.parametrize("kind", sorted(set(ARTEFACTS) - {"noise", "speckle"}))
def test_adjacent_slices_are_changed_alike(slices, kind):
    before = slices.copy()
    changed = _changed(slices, replace(ALWAYS, kinds=(kind,)), seed=1)
    assert changed.shape == slices.shape and changed.dtype == np.float32
    np.testing.assert_allclose(changed[0::2], np.broadcast_to(changed[0], (3, 24, 32)), atol=1e-4)
    np.testing.assert_allclose(changed[1::2], np.broadcast_to(changed[1], (3, 24, 32)), atol=1e-4)
    assert not np.allclose(changed, slices, atol=1e-2)
    np.testing.assert_array_equal(slices, before)


def test_noise_of_neighbouring_slices_is_independent(slices):
    added = _changed(slices, replace(ALWAYS, kinds=("noise",), standardised=False), seed=1) - slices
    assert abs(np.corrcoef(added[0].ravel(), added[2].ravel())[0, 1]) < 0.15


@pytest.mark.parametrize("kind", ARTEFACTS)
def test_mean_and_sd_are_brought_back_where_images_are_standardised(slices, kind):
    recipe = replace(ALWAYS, kinds=(kind,))
    changed = _changed(slices + 5, recipe, seed=2)
    np.testing.assert_allclose(changed[0::2].mean(), slices[0].mean() + 5, atol=1e-3)
    np.testing.assert_allclose(changed[0::2].std(), slices[0].std(), rtol=1e-3)
    if kind == "noise":
        louder = _changed(slices + 5, replace(recipe, standardised=False), seed=2)
        assert louder[0::2].std() > 1.005 * slices[0].std()


def test_volumes_are_changed_as_a_whole():
    volume = np.random.default_rng(0).normal(size=(1, 6, 20, 16)).astype(np.float32)
    for seed in range(20):
        changed = _changed(volume, replace(ALWAYS, spacing_mm=(3.0, 1.0, 1.0)), seed, slices=1)
        assert changed.shape == volume.shape and np.isfinite(changed).all()


def test_unknown_or_missing_kinds_are_named():
    with pytest.raises(InputError, match="artefact_kinds: expected some of noise.*found snow"):
        replace(ALWAYS, kinds=("snow",))
    with pytest.raises(InputError, match="artefact_kinds: expected some of noise.*found none"):
        replace(ALWAYS, kinds=())
