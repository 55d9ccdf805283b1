"""From an image in memory to its segmentation, with a quality score: the same for Python and for mednca_predict."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from mednca_runtime.errors import InputError
from mednca_runtime.preprocessing import Frame, preprocess_image, restore_labels, restore_volume
from mednca_runtime.quality import FOREGROUND, Threshold, flag

from ..evaluation.postprocessing import Removed, apply_postprocessing, read_postprocessing
from ..planning.plans import Plans, describe_components, read_plans
from .calibration import read_threshold
from .ensemble import predict_ensemble
from .network import Asked, Network, load_network
from .trained import Fold, check_fold, choose_folds

log = logging.getLogger(__name__)
BACKGROUND = "background"


def output_names(plans: Plans) -> tuple[str, ...]:
    """The network's outputs in order: the background and the classes, or the regions alone."""
    return plans.labels.names if plans.labels.has_regions else (BACKGROUND, *plans.labels.names)


@dataclass(frozen=True)
class Prediction:
    """The segmentation of one image.

    labels: integer, (z, y, x) or (y, x) as the image. flag: one of mednca_runtime.quality.FLAGS.
    quality: "foreground" or class -> quality score, 0 where a random run agrees with the expected update; empty where
        none was asked for and for a UNet.
    removed: the components that were taken out of `labels`, per class that lost any.
    """

    labels: np.ndarray
    flag: str
    quality: dict[str, float]
    mean: np.ndarray = field(repr=False)  # (K, S, H, W) probabilities in preprocessed space
    spread: np.ndarray | None = field(repr=False)  # (S, H, W) variance in preprocessed space, where asked for
    frame: Frame = field(repr=False)
    plans: Plans = field(repr=False)
    config: str
    removed: tuple[Removed, ...] = ()

    def probability_maps(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and float32 probabilities (z, y, x) or (y, x) of each output, one at a time; the background first."""
        for name, volume in zip(output_names(self.plans), self.mean, strict=True):
            yield name, self._restored(volume, outside=1.0 if name == BACKGROUND else 0.0)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(K, z, y, x) or (K, y, x) float32: all of probability_maps at once."""
        return np.stack([volume for _, volume in self.probability_maps()])

    @cached_property
    def variance(self) -> np.ndarray:
        """(z, y, x) or (y, x) float32: variance over runs and folds, summed over the outputs.

        Raises ValueError unless `predict` was asked for it.
        """
        if self.spread is None:
            raise ValueError("The variance was not asked for: predict(..., with_variance=True).")
        return self._restored(self.spread)

    def _restored(self, volume: np.ndarray, outside: float = 0.0) -> np.ndarray:
        return restore_volume(volume, self.frame, self.plans.config(self.config).preprocessing, outside)


class Predictor:
    """Trained folds of one model, ready to predict.

    networks: fold -> network. runs: random runs over all folds, rounded up to the same number per fold; 0 is one
    deterministic pass of each fold by the expected update. quality: score each case. seed: of random runs. everywhere:
    whether `networks` compute every cell, not only those at the outline. components: class -> how many of its largest
    components are kept; absent: all.
    """

    def __init__(
        self,
        plans: Plans,
        config: str,
        model: str,
        networks: Mapping[Fold, Network],
        *,
        runs: int = 0,
        quality: bool = True,
        seed: int = 0,
        everywhere: bool = False,
        components: Mapping[str, int] | None = None,
        threshold: Threshold | None = None,
    ) -> None:
        if runs < 0:
            raise InputError(f"--runs {runs}: expected at least 1, or 0 for the expected update.")
        self.plans, self.config, self.model, self.networks = plans, config, model, dict(networks)
        self.random = all(network.random for network in self.networks.values())
        per_fold = math.ceil(runs / len(self.networks)) if self.random else 0
        self.asked = Asked(per_fold, quality, seed)
        self.everywhere, self.components, self.threshold = everywhere, dict(components or {}), threshold
        if self.random and per_fold * len(self.networks) != runs:
            log.info("%d runs over %d folds: rounded up to %d per fold.", runs, len(self.networks), per_fold)

    @classmethod
    def from_folder(
        cls,
        model_folder: Path | str,
        folds: Sequence[Fold] | None = None,
        device: str = "auto",
        runs: int = 0,
        quality: bool = True,
        seed: int = 0,
        postprocess: bool = True,
        everywhere: bool = False,
    ) -> "Predictor":
        """Loads `results/<dataset>/<model>_<config>`; `folds` None means all finished ones.

        everywhere: compute every cell, not only those at the outline.
        postprocess: keep the components that a cross-validation chose for this model, else those of its plan.
        Raises InputError when a fold is missing, does not fit, or was trained with other plans.
        """
        model_folder = Path(model_folder)
        model, _, config = model_folder.resolve().name.rpartition("_")
        plans = read_plans(model_folder / "plans.json")
        networks = {}
        for fold in choose_folds(model_folder, folds):
            check_fold(model_folder, fold, plans, model, config)
            networks[fold] = load_network(model_folder, fold, plans, model, config, device, everywhere)
        return cls(
            plans,
            config,
            model,
            networks,
            runs=runs,
            quality=quality,
            seed=seed,
            everywhere=everywhere,
            components=_kept_components(model_folder, plans, plans.digest(config, model)) if postprocess else None,
            threshold=read_threshold(model_folder),
        )

    def predict(self, array: np.ndarray, spacing_mm: Sequence[float], with_variance: bool = False) -> Prediction:
        """array: (C, z, y, x) or (C, y, x), raw intensities; spacing_mm per axis in the array's order.

        with_variance: also measure the variance over folds and runs.
        Raises InputError for another number of channels or axes than trained on, and for values that are not finite.
        The result depends on the image and the model alone; with random runs, on their number and seed as well.
        """
        chosen, labels = self.plans.config(self.config), self.plans.labels
        self._check(array, spacing_mm)
        image, frame = preprocess_image(array, tuple(spacing_mm), chosen.preprocessing)
        folds = list(self.networks.values())
        ensemble = predict_ensemble(folds, image, labels, self.asked, with_variance)
        segmentation = restore_labels(ensemble.mean, frame, chosen.preprocessing, labels)
        segmentation, removed = apply_postprocessing(segmentation, self.components, labels)
        return Prediction(
            labels=segmentation,
            flag=self._flag(ensemble.quality, empty=not labels.foreground(segmentation).any()),
            quality=ensemble.quality,
            mean=ensemble.mean,
            spread=ensemble.variance,
            frame=frame,
            plans=self.plans,
            config=self.config,
            removed=removed,
        )

    @property
    def device(self) -> str:
        return next(iter(self.networks.values())).device

    def describe(self) -> str:
        """One line that says what the outputs were made with."""
        folds = " ".join(str(fold) for fold in self.networks)
        runs = f", {self.asked.runs} runs per fold, seed {self.asked.seed}" if self.asked.runs else ""
        kept = f", keeping {describe_components(self.components)}" if self.components else ""
        every = ", every cell" if self.everywhere else ""
        return f"{self.plans.dataset} {self.model}_{self.config}, folds {folds}{runs}{every}{kept}"

    def _flag(self, quality: dict[str, float], empty: bool) -> str:
        score = quality.get(FOREGROUND, math.nan)
        return flag(score, self.threshold and self.threshold.value, empty=empty, scored=bool(quality))

    def _check(self, array: np.ndarray, spacing_mm: Sequence[float]) -> None:
        channels = self.plans.channel_names
        axes = len(self.plans.training_range.extent_mm)
        if array.ndim != axes + 1 or len(spacing_mm) != axes:
            raise InputError(
                f"Expected a {axes}D image, as {self.plans.dataset} was trained on, found an array of shape "
                f"{tuple(array.shape)} (channels first) with spacing {tuple(spacing_mm)}."
            )
        if array.shape[0] != len(channels):
            count = f"{len(channels)} channel{'s' * (len(channels) > 1)}"
            advice = "Give the image that has this channel alone."
            if len(channels) > 1:
                advice = (
                    f"Give the channels in this order: one file for each, named case_0000 to "
                    f"case_{len(channels) - 1:04d}, or one file or array that holds them all."
                )
            raise InputError(
                f"Expected {count} ({', '.join(channels)}), as {self.plans.dataset} was trained on, "
                f"found {array.shape[0]}. {advice}"
            )
        if not np.isfinite(array).all():
            raise InputError(
                f"Expected finite intensities, found {int((~np.isfinite(array)).sum())} NaN or infinite voxels. "
                "Replace them, or export the image again."
            )


def _kept_components(model_folder: Path, plans: Plans, digest: str) -> dict[str, int]:
    chosen = read_postprocessing(model_folder, digest)
    return plans.components if chosen is None else chosen.components
