import numpy as np
import pytest

from mednca_pipeline.fingerprint.intensities import intensity_statistics, significant


def test_intensity_statistics_of_known_values():
    found = intensity_statistics(np.arange(1001, dtype=np.float32))
    assert (found.mean, found.median, found.minimum, found.maximum) == (500.0, 500.0, 0.0, 1000.0)
    assert (found.percentile_00_5, found.percentile_99_5) == (5.0, 995.0)
    assert found.sd == pytest.approx(288.964, abs=1e-3)  # sqrt((1001^2 - 1) / 12)


def test_numbers_have_six_significant_digits():
    assert significant(1234.56789) == 1234.57
    assert significant(1 / 3) == 0.333333
