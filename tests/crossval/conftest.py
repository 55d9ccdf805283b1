import pytest

from .made_results import two_models


@pytest.fixture
def results(tmp_path):
    return two_models(tmp_path)
