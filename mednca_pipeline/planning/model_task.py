"""What the planner of a model is given, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..plans.model_plans import ModelPlan
from .facts import Facts
from .levels import Factor
from .overrides import Overrides
from .rule import Chosen


@dataclass(frozen=True)
class ModelTask:
    """One model of one configuration.

    facts: with adjacent slices and position. slice_alone: the same without them. size: sides of the images. factors,
    steps: those of the levels of `mednca`; `size` is a multiple of each factor. minutes: how long a fold trains,
    {"cpu": ..., "cuda": ...}.
    """

    facts: Facts
    slice_alone: Facts
    size: tuple[int, ...]
    factors: Sequence[Factor]
    steps: Sequence[int]
    user: Overrides
    channel_names: tuple[str, ...]
    minutes: dict[str, float]


class Note(NamedTuple):
    """A line of the planner's table. by_user: what the user chose, or None."""

    name: str
    chosen: Chosen[str]
    by_user: object = None


class PlannedModel(NamedTuple):
    """The plan of one model of one configuration, and its lines of the planner's table."""

    plan: ModelPlan
    notes: list[Note]
