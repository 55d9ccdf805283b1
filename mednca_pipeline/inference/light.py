"""An NCA's fold on a CPU, in NumPy (runtime.light_nca)."""

import math
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, cast

import numpy as np

from ..plans.model_plans import NCAPlan
from ..plans.plans import Plans
from ..runtime.fire_masks import RandomRun, fires_at
from ..runtime.folding import Architecture, light_nca
from ..runtime.grid import SeenImage
from ..runtime.labels import Labels
from ..runtime.light_nca import level_by_level, pyramid
from ..runtime.network_input import parts
from ..runtime.padding import Pad
from ..runtime.quality import Deviation
from ..runtime.weights import FoldWeights
from .network import Asked, input_format, quality_levels


class Seen(NamedTuple):
    """What each level sees of a part. pad, first: see Part, whose array is not held."""

    levels: list[SeenImage]
    pad: Pad
    first: int


def architecture(plan: NCAPlan, n_image: int, labels: Labels) -> Architecture:
    levels = tuple((level.factor, level.steps) for level in plan.levels)
    cell = (plan.fire_rate, plan.border, plan.norm)
    return Architecture(levels, plan.channels, n_image, labels.n_outputs, *cell, labels.has_regions)


class LightNetwork:
    """Predicts at the outline. Raises InputError for weights that do not fit the plan.

    computed: the share of each level's cells that the last prediction computed.
    """

    device = "cpu"

    def __init__(self, weights: FoldWeights, plans: Plans, config: str, plan: NCAPlan) -> None:
        self.plan, self.random = plan, plan.fire_rate < 1
        self.computed: tuple[float, ...] = ()
        self.format = input_format(plans.config(config), plan, plan.levels[0].factor)
        form = architecture(plan, plans.input_channels(plan), plans.labels)
        self.nca = light_nca(weights, form)

    @classmethod
    def from_weights(cls, weights: FoldWeights, plans: Plans, model: str, config: str) -> "LightNetwork":
        return cls(weights, plans, config, cast(NCAPlan, plans.config(config).model(model)))

    def see(self, image: np.ndarray) -> Iterator[Seen]:
        for part in parts(image, self.format):
            array = part.array[:, None] if self.format.dim == 3 else part.array  # (channels, N, *spatial)
            seen = Seen(pyramid(self.nca, array), part.pad, part.first)
            del array, part
            yield seen

    def probabilities(self, seen: Seen, asked: Asked, deviation: Deviation) -> Iterator[np.ndarray]:
        compared = self.random and asked.quality
        count = asked.runs or int(compared)
        levels = quality_levels(self.plan)
        runs = (RandomRun(asked.seed, number, self.plan.fire_rate) for number in range(count))
        fires = [partial(self._fires, run, seen) for run in runs]
        outcomes = level_by_level(self.nca, seen.levels, self.plan.outline, fires, None if asked.runs else levels)
        for number, outcome in enumerate(outcomes, start=1):
            if compared and number == levels:
                for run in range(1, count + 1):
                    deviation.add(*outcome.deviation(run))
        self.computed = outcome.computed
        for run in range(1, count + 1) if asked.runs else [0]:
            probabilities = outcome.probabilities(run)
            yield seen.pad.inverse(probabilities[:, 0] if self.format.dim == 3 else probabilities)

    def _fires(self, run: RandomRun, seen: Seen, level: int, steps: int, cells: np.ndarray) -> np.ndarray:
        """cells: indices in the part's grid, whose slices are some of the volume's."""
        first = 0 if self.format.dim == 3 else seen.first * math.prod(seen.levels[level].shape[1:])
        return fires_at(run, level, range(steps), cells + first)
