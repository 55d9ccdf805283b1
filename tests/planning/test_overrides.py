import pytest

from mednca_pipeline.planning.overrides import check_flags, merged, parse_overrides
from mednca_pipeline.runtime.errors import InputError


def parse(dim=2, axes=None, **texts):
    """Of slices across z by default, or of volumes."""
    axes = axes or ((0, 1, 2) if dim == 3 else (1, 2))
    return parse_overrides({f"2d.{flag}": text for flag, text in texts.items()}, "2d", axes, 3)


def test_what_is_not_given_is_the_planners():
    assert parse() == parse_overrides({"3d.steps": "4 4"}, "2d", (1, 2), 3)
    assert parse().levels is None


def test_levels_are_read_per_axis_or_for_all():
    assert parse(levels="4 2 1").levels == ((4, 4), (2, 2), (1, 1))
    assert parse(3, levels="1x4x4 /1").levels == ((1, 4, 4), (1, 1, 1))


def test_values_are_read_per_axis():
    found = parse(3, spacing="2 1 1", patch="24", channels="24", levels="2 1", steps="9 5")
    assert found.spacing_mm == (2.0, 1.0, 1.0)
    assert found.patch == (24, 24, 24)
    assert (found.channels, found.steps) == (24, (9, 5))


def test_spacing_of_a_volume_gives_slices_the_values_of_their_own_axes():
    assert parse(spacing="5 0.8 0.7").spacing_mm == (0.8, 0.7)
    assert parse(spacing="0.9 4 0.7", axes=(0, 2)).spacing_mm == (0.9, 0.7)  # coronal slices
    assert parse(spacing="0.9 0.7", axes=(0, 2)).spacing_mm == (0.9, 0.7)
    assert parse(spacing="0.8").spacing_mm == (0.8, 0.8)


def test_spacing_of_pictures_has_two_values_at_most():
    assert parse_overrides({"2d.spacing": "2 3"}, "2d", (0, 1), 2).spacing_mm == (2.0, 3.0)
    with pytest.raises(InputError, match="each of the 2 axes"):
        parse_overrides({"2d.spacing": "1 2 3"}, "2d", (0, 1), 2)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"levels": "4 2"}, "to 1"),
        ({"levels": "4 3 1"}, "multiple of the next"),
        ({"levels": "2 2 1"}, "multiple of the next"),
        ({"levels": "4 1", "steps": "8 6 4"}, "as many steps as levels"),
        ({"steps": "8 0"}, "whole numbers from 1"),
        ({"steps": "many"}, "found 'many'. Give for example --steps 10 6 4"),
        ({"spacing": "-1"}, "positive"),
        ({"spacing": "nan"}, "positive"),
        ({"patch": "24 24 24"}, "2 axes"),
        ({"channels": "16 16"}, "one whole number"),
        ({"position": "maybe"}, "yes or no, found 'maybe'. Give for example --position no"),
    ],
)
def test_nonsense_is_refused_with_an_example(texts, message):
    with pytest.raises(InputError, match=message):
        parse(**texts)


def test_new_flags_replace_earlier_ones_of_the_same_configuration_only():
    earlier = {"2d.steps": "8 6 4", "3d.steps": "9 6 4"}
    found = merged(earlier, {"steps": "12 6 4", "patch": None}, ["2d"])
    assert found == {"2d.steps": "12 6 4", "3d.steps": "9 6 4"}


def test_flags_that_fit_no_image_are_refused_without_one():
    check_flags({"spacing": "3 1 1", "position": "no"}, ())
    check_flags({"patch": "24 24"}, ("2d",))
    for wrong in ({"patch": "24 24"}, {"steps": "many"}, {"position": "maybe"}):
        with pytest.raises(InputError, match=f"--{next(iter(wrong))}"):
            check_flags(wrong, ("3d",))
