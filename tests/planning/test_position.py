from dataclasses import replace

import numpy as np

from mednca_pipeline.models.registry import MODELS
from mednca_pipeline.planning.planner import make_plans

from .made_fingerprints import alike, hippocampus, make_fingerprint


def placed(spread, shape=(36, 55, 38), n=10):
    """A dataset whose class "a" keeps its place up to `spread` (in half sides) and whose class "b" does not."""
    cases = []
    for index, case in enumerate(alike(shape, {"a": (12,) * len(shape), "b": (6,) * len(shape)}, n).cases):
        place = spread * (-1) ** index  # SD: spread
        centres = {"a": (0.0,) * (len(shape) - 1) + (place,), "b": (place + 0.8 * (index % 3),) * len(shape)}
        classes = {name: replace(found, centre=centres[name]) for name, found in case.classes.items()}
        cases.append(replace(case, classes=classes))
    return make_fingerprint(cases)


def test_networks_see_the_position_where_a_class_keeps_its_place():
    plans = make_plans(placed(0.19))
    slices, volumes = plans.configs["2d"], plans.configs["3d"]
    for config, seen in ((slices, 7 + 3), (volumes, 1 + 3)):
        for name in ("mednca", "unet", "unet_small"):
            assert config.model(name).position == (36, 55, 38)
            assert plans.input_channels(config.model(name)) == seen
        assert config.models["mednca"].channels == seen + 8
        assert config.models["mednca_paper"].position == ()  # as published
    reason = next(made for made in plans.decisions if made.name == "position")
    assert (reason.config, reason.value) == ("2d", "seen") and "centre of a varies by 9.5%" in reason.because
    picture = make_plans(placed(0.19, (64, 80))).config()
    assert picture.models["mednca"].position == (64, 80)


def test_the_typical_sides_are_in_the_order_of_the_configurations_axes():
    fingerprint = placed(0.1, (60, 70, 20))
    cases = [replace(case, spacing_mm=(1.0, 1.0, 4.0)) for case in fingerprint.cases]  # sagittal slices
    plans = make_plans(make_fingerprint(cases))
    assert plans.configs["2d"].preprocessing.axis_order == (2, 0, 1)
    assert plans.slicing_axis == 2
    assert plans.configs["2d"].models["mednca"].position == (20, 60, 70)
    assert plans.configs["3d"].models["mednca"].position[:2] == (60, 70)


def test_places_are_measured_as_networks_see_them_in_sides_of_the_median_image():
    cases = list(placed(0.0, (64, 64)).cases)  # "a" at the centre along y; now at 0.6 of half a side along x
    for index, case in enumerate(cases):
        side = (40, 64, 88)[index % 3]
        classes = {**case.classes, "a": replace(case.classes["a"], centre=(0.0, 0.6))}
        cases[index] = replace(case, shape=(64, side), cropped_shape=(64, side), classes=classes)
    reason = next(made for made in make_plans(make_fingerprint(cases)).decisions if made.name == "position")
    sd = np.std([0.3 * (40, 64, 88)[index % 3] / 64 for index in range(10)])
    assert f"{sd:.1%}" in reason.because and sd > 0.08


def test_a_class_that_few_cases_show_does_not_decide():
    cases = list(placed(0.5, n=30).cases)
    for index in range(6):
        rare = replace(cases[index].classes["b"], centre=(0.0, 0.0, 0.0))
        cases[index] = replace(cases[index], classes={**cases[index].classes, "b": rare})
    for index in range(6, 30):
        absent = replace(cases[index].classes["b"], voxels=0, extent=(), components=0, centre=())
        cases[index] = replace(cases[index], classes={**cases[index].classes, "b": absent})
    assert make_plans(make_fingerprint(cases)).configs["2d"].models["mednca"].position == ()


def test_networks_do_not_see_the_position_where_places_differ_or_are_not_known():
    for fingerprint in (placed(0.21), placed(0.0, n=4), hippocampus()):
        plans = make_plans(fingerprint)
        assert {config.model(name).position for config in plans.configs.values() for name in MODELS} == {()}


def test_position_is_the_users_choice_per_configuration():
    plans = make_plans(placed(0.1), {"2d.position": "no"})
    assert plans.configs["2d"].models["mednca"].position == () and plans.configs["3d"].models["mednca"].position
    assert next(made for made in plans.decisions if made.name == "position").by_user
    assert make_plans(hippocampus(), {"2d.position": "yes"}).configs["2d"].models["mednca"].position == (36, 55, 38)
