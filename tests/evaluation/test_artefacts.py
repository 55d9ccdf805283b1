import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mednca_pipeline.evaluation import artefacts
from mednca_pipeline.evaluation.artefacts import ARTEFACTS, ZOOM, artefact_rng, distorted, in_plane

SPACING = {2: (1.0, 1.0), 3: (3.0, 1.0, 1.0)}


def _image(shape=(2, 48, 40)):
    image = gaussian_filter(np.random.default_rng(0).normal(size=shape), (0, *[2] * (len(shape) - 1)))
    return (300 + 100 * image / image.std()).astype(np.float32)


def _change(name, image, amount, seed=0):
    spacing = SPACING[image.ndim - 1]
    return ARTEFACTS[name].change(image, spacing, amount, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ARTEFACTS)
@pytest.mark.parametrize("shape", [(2, 48, 40), (1, 7, 33, 48)])
def test_every_artefact_keeps_shape_and_input_and_grows_with_severity(name, shape):
    image = _image(shape)
    before = image.copy()
    spacing = SPACING[len(shape) - 1]
    differences = []
    for severity in (1, 3, 5):
        changed, same = distorted(name, severity, image, spacing, artefact_rng("case", name))
        assert changed.shape == shape and changed.dtype == np.float32 and np.isfinite(changed).all()
        assert same == spacing
        again, _ = distorted(name, severity, image, spacing, artefact_rng("case", name))
        np.testing.assert_array_equal(changed, again)
        differences.append(np.abs(changed - image).mean())
    np.testing.assert_array_equal(image, before)
    assert 0 < differences[0] < differences[1] < differences[2]


def test_severities_are_at_least_those_of_the_first_trial_and_others_lie_between():
    at_five = {"noise": 0.8, "blur": 2.0, "ghosts": 0.45, "bias_field": 1.2}
    assert all(ARTEFACTS[name].amount(5) >= amount for name, amount in at_five.items())
    assert artefacts.GHOSTS[0] >= 3
    assert ARTEFACTS["noise"].amount(2.5) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="severity 6"):
        ARTEFACTS["noise"].amount(6)


def test_generator_depends_on_case_and_artefact():
    draws = {artefact_rng(case, name).random() for case in ("a", "b") for name in ("noise", "blur")}
    assert len(draws) == 4


def test_noise_is_relative_to_the_image():
    image = _image((1, 200, 200))
    added = _change("noise", image, 0.5) - image
    assert added.std() == pytest.approx(0.5 * image.std(), rel=0.02)


def test_blur_is_isotropic_in_mm_and_wider_in_large_images():
    point = np.zeros((1, 21, 41, 41), np.float32)
    point[0, 10, 20, 20] = 1
    blurred = _change("blur", point, 2.0)[0]  # slices three times as thick

    def sd(profile):
        places = np.arange(len(profile)) - len(profile) // 2
        return math.sqrt((profile * places**2).sum() / profile.sum())

    assert sd(blurred.sum(axis=(0, 1))) == pytest.approx(2.0, rel=0.05)
    assert sd(blurred.sum(axis=(1, 2))) == pytest.approx(2 / 3, rel=0.1)
    large = np.zeros((1, 1025, 9), np.float32)
    large[0, 512] = 1
    assert sd(_change("blur", large, 1.0)[0].sum(axis=1)) == pytest.approx(1025 / 256, rel=0.05)


def test_bias_field_is_a_factor_between_its_extremes():
    image = np.ones((2, 60, 50), np.float32)
    image[:, 0, 0] = 0  # the zero that intensities count from
    factor = np.delete(_change("bias_field", image, 1.2).reshape(2, -1), 0, axis=1)
    np.testing.assert_array_equal(factor[0], factor[1])  # alike in all channels
    assert factor.max() == pytest.approx(math.exp(1.2), rel=0.02)
    assert factor.min() == pytest.approx(math.exp(-1.2), rel=0.02)


def test_ghosts_are_shifted_copies(monkeypatch):
    monkeypatch.setattr(artefacts, "GHOSTS", (3, 3))
    point = np.zeros((1, 16, 16), np.float32)
    point[0, 2, 5] = 1
    ghosts = _change("ghosts", point, 0.45)[0]
    along_y, along_x = ghosts[[2, 6, 10, 14], 5], ghosts[2, [5, 9, 13, 1]]
    found = along_y if along_y[1] > 0.1 else along_x
    np.testing.assert_allclose(found, [1, 0.45, 0.45, 0.45], atol=1e-5)
    assert ghosts.sum() == pytest.approx(2.35, abs=1e-4)


def test_spikes_are_a_few_points_of_k_space():
    image = _image((1, 64, 64))
    added = np.abs(np.fft.fft2((_change("spikes", image, 1.0) - image)[0]))
    strongest = np.sort(added.ravel())[::-1]
    assert (strongest[:60] ** 2).sum() > 0.75 * (added**2).sum()


def test_low_resolution_leaves_no_detail_and_keeps_the_mean():
    board = (np.indices((32, 32)).sum(axis=0) % 2).astype(np.float32)[None]
    coarse = _change("low_resolution", board, 4.0)
    assert coarse.std() < 0.1 and coarse.mean() == pytest.approx(0.5, abs=0.02)
    thick = np.zeros((1, 4, 32, 32), np.float32)
    thick[0, 1] = 1
    np.testing.assert_allclose(_change("low_resolution", thick, 4.0), thick, atol=1e-5)  # in-plane alone


def test_gamma_keeps_extremes_and_order():
    image = np.linspace(-1, 3, 50, dtype=np.float32).reshape(1, 5, 10)
    changed = _change("gamma", image, 0.9).ravel()
    assert (np.diff(changed) >= 0).all()
    assert (changed[0], changed[-1]) == (-1, pytest.approx(3))
    exponent = math.log(float((changed[25] + 1) / 4)) / math.log(float((image.ravel()[25] + 1) / 4))
    assert abs(math.log(exponent)) == pytest.approx(0.9, rel=1e-3)


def test_shadow_darkens_a_band_below_and_nothing_above():
    image = np.ones((1, 100, 80), np.float32)
    image[0, 99, 0] = 0
    changed = _change("shadow", image, 0.9)[0]
    assert changed[90].min() < 0.2 and changed[90].max() > 0.95 and changed.max() <= 1
    profile = changed[:90].min(axis=1)
    assert profile[0] >= profile[45] >= profile[89]


def test_zoom_scales_the_spacing_and_leaves_the_voxels():
    image = _image()
    factors = set()
    for case in range(8):
        same, spacing = distorted(ZOOM, 5, image, (2.0, 1.0), artefact_rng(str(case), ZOOM))
        assert same is image and spacing[0] == pytest.approx(2 * spacing[1])
        factors.add(round(spacing[1], 4))
    assert factors == {1.4, round(1 / 1.4, 4)}


def test_in_plane_are_the_axes_beside_the_coarsest():
    assert in_plane((1.0, 1.0)) == (0, 1)
    assert in_plane((1.0, 1.0, 3.0)) == (0, 1)
    assert in_plane((1.0, 1.0, 1.0)) == (1, 2)
