"""Several models of one dataset as one: their probabilities are averaged in the image's own geometry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from ..plans.plans import Plans
from ..runtime.errors import InputError
from ..runtime.labels import Labels
from ..runtime.moments import Moments
from ..runtime.quality import Standing
from .prediction import ModelMaps, Prediction, segment
from .predictor import Predictor, describe_kept


class Combination:
    """Averages models that may differ in everything but the dataset; each counts alike, whatever its number of folds.

    The first model decides what is common: its plan says which components are kept (`postprocess` False: all), since
    what a cross-validation chose is each model's own. The quality score is that of the first model that has one, and
    is compared with that model's threshold. No case is ok unless every model was good in validation.
    Raises InputError for models of other labels or channels.
    """

    def __init__(self, predictors: Sequence[Predictor], postprocess: bool = True) -> None:
        if not predictors:
            raise InputError("models", "at least one", "none")
        self.predictors, self.plans = tuple(predictors), predictors[0].plans
        for other in self.predictors[1:]:
            _check_same_outputs(self.predictors[0], other)
        self.components = dict(self.plans.components) if postprocess else {}
        self._scorer = next((each for each in self.predictors if each.random and each.asked.quality), None)

    def predict(self, array: np.ndarray, spacing_mm: Sequence[float], with_variance: bool = False) -> Prediction:
        """As Predictor.predict. with_variance: also measure the variance over models, folds and runs."""
        members = tuple(
            each.predict_maps(array, spacing_mm, with_variance, scored=each is self._scorer) for each in self.predictors
        )
        quality = next((maps.quality for maps in members if maps.quality), {})
        return segment(_MeanMaps(members, quality), self.plans.labels, self.components, self.standing)

    @property
    def standing(self) -> Standing:
        """The validation of the worst model, for nothing is known of the mean; none where a model has none."""
        known = [each.standing.validation for each in self.predictors if each.standing.validation]
        worst = min(known, key=lambda each: each.dice) if len(known) == len(self.predictors) else None
        return Standing(worst, self._scorer.standing.threshold if self._scorer else None)

    def check_header(self, channels: int, shape: Sequence[int], spacing_mm: Sequence[float], unit: str = "") -> None:
        for each in self.predictors:
            each.check_header(channels, shape, spacing_mm, unit)

    @property
    def device(self) -> str:
        return ", ".join(dict.fromkeys(each.device for each in self.predictors))

    @property
    def runs_per_fold(self) -> int:
        """Of the models that have random runs; those of others number 0."""
        return max(each.runs_per_fold for each in self.predictors)

    def describe(self) -> str:
        return " + ".join(each.title for each in self.predictors) + describe_kept(self.components)


@dataclass(frozen=True)
class _MeanMaps:
    """Each model's maps stay in its preprocessed space; in the image's geometry there is one output at a time."""

    members: tuple[ModelMaps, ...]
    quality: dict[str, float]

    def probability_maps(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, moments in self._moments():
            yield name, moments.mean

    def decode(self, labels: Labels) -> np.ndarray:
        return labels.decode(map(itemgetter(1), self.probability_maps()))

    def variance(self) -> np.ndarray:
        """Mean of the models' own variances, plus the variance between the models' means."""
        within = np.mean([maps.variance() for maps in self.members], axis=0)
        return within + sum(moments.variance for _, moments in self._moments(with_variance=True))

    def _moments(self, with_variance: bool = False) -> Iterator[tuple[str, Moments]]:
        each = [maps.probability_maps() for maps in self.members]
        for name in self.members[0].names:
            moments = Moments(with_variance)
            for maps in each:
                moments.add(next(maps)[1])
            yield name, moments


def _check_same_outputs(first: Predictor, other: Predictor) -> None:
    for what, describe in (("labels", _labels), ("channels", _channels)):
        expected, found = describe(first.plans), describe(other.plans)
        if expected != found:
            raise InputError(
                other.title,
                f"the {what} {expected}, as of {first.title}",
                found,
                "Leave one of the two out: only models of one dataset can be averaged.",
            )


def _labels(plans: Plans) -> str:
    labels = plans.labels
    named = [f"{name} ({' '.join(map(str, values))})" for name, values in zip(labels.names, labels.values, strict=True)]
    order = [f"regions in the order {' '.join(map(str, labels.region_order))}"] if labels.has_regions else []
    ignore = [] if labels.ignore is None else [f"ignore ({labels.ignore})"]
    return ", ".join([*named, *order, *ignore])


def _channels(plans: Plans) -> str:
    return ", ".join(plans.channel_names)
