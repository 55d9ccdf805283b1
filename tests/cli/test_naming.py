import pytest

from mednca_pipeline.cli.naming import one_config, split_model
from mednca_pipeline.runtime.errors import InputError


@pytest.mark.parametrize(
    ("name", "split"),
    [("mednca", ("mednca", None)), ("mednca_2d", ("mednca", "2d")), ("unet_small_3d", ("unet_small", "3d"))],
)
def test_a_model_may_be_named_with_its_configuration(name, split):
    assert split_model(name) == split


def test_a_model_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(InputError, match=r"one of mednca, .* such as mednca_2d, found 'mednca_4d'"):
        split_model("mednca_4d")


def test_several_configurations_are_answered_with_what_to_type():
    assert one_config(None, ("2d", None)) == "2d"
    with pytest.raises(InputError, match="expected one, found 2d and 3d. Type this."):
        one_config("2d", ("3d",), "Type this.")
