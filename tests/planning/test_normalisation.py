from dataclasses import replace

import pytest

from mednca_pipeline.planning.normalisation import clipping, ct_statistics, has_outliers, schemes

from .made_fingerprints import PLAIN, alike, make_case, make_fingerprint


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("CT",), ("ct",)),
        (("MRI",), ("zscore",)),
        (("noNorm", "T2"), ("none", "zscore")),
        (("R", "G", "B"), ("rgb", "rgb", "rgb")),
        (("RGB_to_0_1",), ("rgb",)),
        (("Rescale_to_0_1",), ("zscore",)),
        (("B", "T1"), ("zscore", "zscore")),
    ],
)
def test_scheme_follows_the_channels_name_as_in_nnunet(names, found):
    assert schemes(_named(*names)).value == found


def test_reason_names_the_channels():
    because = schemes(_named("CT", "PET", "rescale_to_0_1")).because
    assert because.startswith("CT: CT is clipped")
    assert "PET: the unit is arbitrary" in because and "rescale_to_0_1: each image is z-scored instead" in because


@pytest.mark.parametrize(
    ("names", "brightest", "scheme"),
    [
        ("RGB", 255.0, "rgb"),
        ("RGB", 1.5, "rgb"),
        ("RGB", 1.0, "zscore"),  # colours of 0..1
        ("RGB", 256.0, "zscore"),  # of 16 bits
        (("rgb_to_0_1",), 4095.0, "zscore"),
    ],
)
def test_colours_are_scaled_where_the_brightest_of_all_images_fits_8_bits(names, brightest, scheme):
    dark, bright = (replace(PLAIN, maximum=value) for value in (0.5, brightest))
    cases = [make_case(f"c{i}", (9, 9), {"a": (3, 3)}, None, one, len(names)) for i, one in enumerate((dark, bright))]
    chosen = schemes(make_fingerprint(cases, tuple(names)))
    assert chosen.value == (scheme,) * len(names)
    assert (f"these reach {brightest:g}" in chosen.because) is (scheme == "zscore")


def _named(*names):
    return alike((9, 9), {"a": (3, 3)}, n=2, channel_names=names)


def test_outliers_lie_beyond_three_widths_of_the_percentiles():
    # PLAIN: 0.5 to 99.5 percentiles 40 to 160, so 3 widths are 360
    assert not has_outliers(replace(PLAIN, maximum=520.0))
    assert has_outliers(replace(PLAIN, maximum=521.0))
    assert has_outliers(replace(PLAIN, minimum=-321.0))


@pytest.mark.parametrize(("outliers", "clipped"), [(0, False), (1, False), (2, True)])
def test_clipping_from_a_tenth_of_the_images_on(outliers, clipped):
    bad = replace(PLAIN, maximum=1000.0)
    cases = [make_case(f"c{i}", (9, 9), {"a": (3, 3)}, channel=bad if i < outliers else PLAIN) for i in range(20)]
    chosen = clipping(make_fingerprint(cases))
    assert chosen.value is clipped
    assert f"{outliers} of 20 images" in chosen.because


def test_ct_statistics_are_the_datasets_foreground():
    cases = [make_case("c", (9, 9), {"a": (3, 3)})]
    assert ct_statistics(make_fingerprint(cases)) == ((100.0, 20.0, 40.0, 160.0),)
