from mednca_pipeline.evaluation.colours import class_colours, colour_of, model_colour
from mednca_pipeline.models.registry import MODELS
from mednca_pipeline.runtime.labels import Labels


def test_a_class_has_the_colour_of_its_value():
    assert class_colours(Labels(("liver", "spleen"), ((1,), (2,)))) == {"liver": colour_of(1), "spleen": colour_of(2)}


def test_a_model_has_one_colour_in_all_configurations_and_no_other_has_it():
    colours = [model_colour(f"{model}_2d") for model in MODELS]
    assert colours == [model_colour(f"{model}_3d") for model in MODELS] == [model_colour(model) for model in MODELS]
    ensemble = model_colour("mednca_2d + unet_small_2d")
    assert len({*colours, ensemble}) == len(MODELS) + 1
    assert not {*colours, ensemble} & {colour_of(value) for value in range(1, 40)}
