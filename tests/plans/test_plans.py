"""Plans through their file, and what their digest depends on."""

from dataclasses import replace

import pytest

from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.planning.planner import make_plans
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, write_json
from mednca_pipeline.runtime.outline import Outline

from ..planning.made_fingerprints import hippocampus


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("configs"),
        lambda data: data["configs"]["2d"].pop("models"),
        lambda data: data["configs"]["2d"]["models"].update(mednca=None),
        lambda data: data["configs"]["2d"]["models"]["mednca"].update(outline={"eps": 0, "halo": 1}),
        lambda data: data["configs"]["2d"]["models"]["mednca"]["training"].update(optimiser="sgd"),
        lambda data: data["configs"]["2d"]["models"]["mednca"].pop("levels"),
        lambda data: data["configs"]["2d"]["models"].update(resnet={}),
        lambda data: data.update(components={"nonsense": 1}),
        lambda data: data.update(components={"anterior": 0}),
    ],
)
def test_a_damaged_plan_is_an_error_of_the_file(tmp_path, damage):
    file = tmp_path / "plans.json"
    write_plans(file, make_plans(hippocampus()))
    data = read_json(file)
    damage(data)
    write_json(file, data)
    with pytest.raises(InputError):
        read_plans(file)


def test_a_plan_from_before_the_outline_predicts_at_it_and_keeps_its_digest(tmp_path):
    file, plans = tmp_path / "plans.json", make_plans(hippocampus())
    config = plans.config("2d")
    everywhere = replace(config.models["mednca"], training=replace(config.models["mednca"].training, at_outline=False))
    plans = replace(plans, configs={**plans.configs, "2d": config.with_model("mednca", everywhere)})
    write_plans(file, plans)
    data = read_json(file)
    data["schema"] = 1
    for each in data["configs"].values():
        each |= each.pop("models")
        del each["mednca"]["outline"]
    write_json(file, data)
    old = read_plans(file)
    assert (old.config("2d").models["mednca"].outline.eps, old.config("2d").models["mednca"].outline.halo) == (0.02, 2)
    assert old.config("2d").models["mednca_paper"].outline is None
    assert old.digest("2d", "mednca") == plans.digest("2d", "mednca")


def test_the_outline_decides_the_weights_of_what_is_trained_at_it():
    plans = make_plans(hippocampus())
    config = plans.config("2d")

    def digest(outline, at_outline):
        training = replace(config.models["mednca"].training, at_outline=at_outline)
        model = replace(config.models["mednca"], outline=outline, training=training)
        return replace(plans, configs={"2d": config.with_model("mednca", model)}).digest("2d", "mednca")

    one, two = Outline(0.02, 1), Outline(0.02, 2)
    assert digest(one, True) != digest(two, True)
    assert digest(one, False) == digest(two, False) == digest(None, False)
