"""One colour for each class, that of its label value, and one for each model, in every picture and figure."""

import colorsys
from collections.abc import Mapping

from ..models.registry import MODELS
from ..runtime.labels import Labels

Colour = tuple[float, float, float]  # RGB in 0..1

# Matplotlib's tab10, orange first, without the grey that an image hides.
_FIRST = ("#ff7f0e #1f77b4 #2ca02c #d62728 #9467bd #8c564b #e377c2 #bcbd22 #17becf").split()
# Matplotlib's Dark2, so that no model is taken for a class.
_MODELS = ("#1b9e77", "#7570b3", "#e7298a", "#a6761d")
_ENSEMBLE = "#444444"
_GOLDEN = 0.61803398875  # steps of the hue that never come back to an earlier one


def colour_of(value: int) -> Colour:
    """The colour of a label value from 1 on."""
    if value <= len(_FIRST):
        return _colour(_FIRST[value - 1])
    return colorsys.hsv_to_rgb((value * _GOLDEN) % 1.0, 0.85, 0.95)


def class_names(labels: Labels) -> dict[int, str]:
    """{label value in label maps: name of its class, or of the region that writes it}."""
    values = labels.region_order or tuple(value for (value,) in labels.values)
    return dict(zip(values, labels.names, strict=True))


def class_colours(labels: Labels) -> Mapping[str, Colour]:
    """{name of a class: its colour}."""
    return {name: colour_of(value) for value, name in class_names(labels).items()}


def model_colour(name: str) -> Colour:
    """The colour of a model by the name of its folder, such as mednca_2d; ensembles have one together."""
    known = {model: colour for model, colour in zip(MODELS, _MODELS, strict=True)}
    return _colour(known.get(name.rpartition("_")[0] if name not in known else name, _ENSEMBLE))


def _colour(text: str) -> Colour:
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
