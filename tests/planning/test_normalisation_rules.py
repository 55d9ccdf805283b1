from dataclasses import replace

import pytest
from made_fingerprints import PLAIN, make_case, make_fingerprint

from mednca_pipeline.planning.normalisation import clipping, ct_statistics, has_outliers, schemes


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("CT",), ("ct",)),
        (("MRI",), ("zscore",)),
        (("noNorm", "T2"), ("none", "zscore")),
        (("R", "G", "B"), ("rgb", "rgb", "rgb")),
        (("rgb_to_0_1",), ("rgb",)),
        (("B", "T1"), ("zscore", "zscore")),
    ],
)
def test_scheme_follows_the_channels_name_as_in_nnunet(names, found):
    assert schemes(names).value == found


def test_reason_names_the_channels():
    assert schemes(("CT", "PET")).because.startswith("CT: CT is clipped")
    assert "PET: its unit is arbitrary" in schemes(("CT", "PET")).because


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
