"""From an image in memory to its segmentation, with a quality score: the same for Python and for mednca_predict."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..plans.plans import Plans, describe_components
from ..results.fold_folder import FoldName
from ..runtime.errors import InputError
from ..runtime.memory import check_memory
from ..runtime.padding import Pad
from ..runtime.preprocessing import frame_of
from ..runtime.preprocessing_steps import Frame
from ..runtime.quality import Standing
from ..runtime.units import voxel_unit
from .fold_average import average_folds
from .network import Asked, Network, load_network
from .options import DEFAULTS, PredictionOptions
from .prediction import ModelMaps, Prediction, output_names, segment
from .ranges import check_spacing_range
from .trained import choose_folds
from .trained_model import BundleModel, FolderModel, TrainedModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedImage:
    """An image as the networks of one plan see it. array: (C, S, H, W) float32. frame: how it was made, and back."""

    array: np.ndarray
    frame: Frame


@dataclass(frozen=True)
class LoadedModel:
    """Trained folds of one model in memory.

    networks: fold -> network. components: class -> how many of its largest components are kept; absent: all.
    standing: what its validation says; by it the quality score is judged.
    """

    plans: Plans
    config: str
    name: str
    networks: Mapping[FoldName, Network]
    components: Mapping[str, int] = field(default_factory=dict)
    standing: Standing = Standing()


class Predictor:
    """A model, ready to predict many images. It was loaded as `options` say (device, postprocess, everywhere)."""

    def __init__(self, model: LoadedModel, options: PredictionOptions = DEFAULTS) -> None:
        self.plans, self.config, self.model = model.plans, model.config, model.name
        self.networks, self.components, self.standing = model.networks, dict(model.components), model.standing
        self.memory_bytes = options.memory_bytes
        self.everywhere, self.random = options.everywhere, all(network.random for network in self.networks.values())
        per_fold = self._per_fold(options.runs, len(self.networks))
        self.asked = Asked(per_fold, options.quality, options.seed)
        if self.random and per_fold * len(self.networks) != options.runs:
            log.info("%d runs over %d folds: rounded up to %d per fold.", options.runs, len(self.networks), per_fold)

    @classmethod
    def from_folder(
        cls,
        model_folder: Path | str,
        folds: Sequence[FoldName] | None = None,
        options: PredictionOptions = DEFAULTS,
    ) -> "Predictor":
        """Loads `results/<dataset>/<model>_<config>`, or a copy of it; `folds` None means all finished ones.

        Raises InputError when a fold is missing, does not fit, or was trained with other plans.
        """
        return cls.from_model(FolderModel.open(Path(model_folder)), folds, options)

    @classmethod
    def from_bundle(
        cls, file: Path | str, folds: Sequence[FoldName] | None = None, options: PredictionOptions = DEFAULTS
    ) -> "Predictor":
        """Loads a bundle, as mednca_export writes it; `folds` None means all in it.

        Raises InputError for a file that is no bundle or is damaged, and for a fold that is not in it.
        """
        return cls.from_model(BundleModel.open(Path(file)), folds, options)

    @classmethod
    def from_model(
        cls, model: TrainedModel, folds: Sequence[FoldName] | None = None, options: PredictionOptions = DEFAULTS
    ) -> "Predictor":
        """Loads folds of a model, wherever it lies; arguments and errors: see from_folder and from_bundle."""
        plans, name, config = model.plans, model.model, model.config
        networks = {
            fold: load_network(model.weights(fold), plans, name, config, options.device, options.everywhere)
            for fold in choose_folds(model, folds)
        }
        components = model.components() if options.postprocess else {}
        return cls(LoadedModel(plans, config, name, networks, components, model.standing()), options)

    def predict(self, array: np.ndarray, spacing_mm: Sequence[float], with_variance: bool = False) -> Prediction:
        """array: (C, z, y, x) or (C, y, x), raw intensities; spacing_mm per axis in the array's order.

        with_variance: also measure the variance over folds and runs.
        Raises InputError for another number of channels or axes than trained on, and for values that are not finite.
        The result depends on the image and the model alone; with random runs, on their number and seed as well.
        """
        return self.run(self.prepare(array, spacing_mm), with_variance=with_variance)

    def prepare(self, array: np.ndarray, spacing_mm: Sequence[float]) -> PreparedImage:
        """The image preprocessed, to be run several times. Arguments and errors: see `predict`."""
        self.check_header(array.shape[0], array.shape[1:], spacing_mm)
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            remedy = "Replace them, or export the image again."
            raise InputError("", "finite intensities", f"{count} NaN or infinite voxels", remedy)
        frame = frame_of(array, spacing_mm, self.plans.config(self.config).preprocessing)
        outputs = len(output_names(self.plans))
        for grid in (frame.resample.resampled_shape, self._padded(frame)):
            check_memory(len(array), array.shape[1:], grid, outputs, self.memory_bytes)
        return PreparedImage(frame.forward(array), frame)

    def run(
        self,
        image: PreparedImage,
        folds: Sequence[FoldName] | None = None,
        runs: int | None = None,
        with_variance: bool = False,
    ) -> Prediction:
        """Predicts a prepared image. folds: of those loaded; None: all. runs: as in the class; None: as loaded.

        Raises InputError for a fold that is not loaded.
        """
        chosen = list(self.networks) if folds is None else list(folds)
        missing = [str(fold) for fold in chosen if fold not in self.networks]
        if missing or not chosen:
            raise InputError("folds", f"some of {', '.join(map(str, self.networks))}", ", ".join(missing) or "none")
        asked = self.asked if runs is None else replace(self.asked, runs=self._per_fold(runs, len(chosen)))
        maps = self._maps(image, [self.networks[fold] for fold in chosen], asked, with_variance)
        return segment(maps, self.plans.labels, self.components, self.standing)

    def predict_maps(
        self, array: np.ndarray, spacing_mm: Sequence[float], with_variance: bool = False, scored: bool = True
    ) -> ModelMaps:
        """The probabilities alone, as `predict` reads them. scored: False leaves out the quality score."""
        asked = self.asked if scored else replace(self.asked, quality=False)
        return self._maps(self.prepare(array, spacing_mm), list(self.networks.values()), asked, with_variance)

    def _maps(self, image: PreparedImage, networks: Sequence[Network], asked: Asked, with_variance: bool) -> ModelMaps:
        average = average_folds(networks, image.array, self.plans.labels, asked, with_variance)
        return ModelMaps(output_names(self.plans), average.mean, average.variance, average.quality, image.frame)

    def _padded(self, frame: Frame) -> tuple[int, ...]:
        """(S, H, W) of an image as the networks take it."""
        shape, form = frame.resample.resampled_shape, next(iter(self.networks.values())).format
        pad = Pad.to(shape[-form.dim :], form.image_size, form.factor)
        return (*shape[: -form.dim], *pad.padded_shape)

    def _per_fold(self, runs: int, folds: int) -> int:
        """Random runs of each fold, 0 for networks that have none."""
        if runs < 0:
            raise InputError(f"--runs {runs}", "at least 1, or 0 for the expected update")
        return math.ceil(runs / folds) if self.random else 0

    @property
    def device(self) -> str:
        return next(iter(self.networks.values())).device

    @property
    def runs_per_fold(self) -> int:
        return self.asked.runs

    @property
    def title(self) -> str:
        """Dataset, model, folds, and how they predict."""
        folds = f"fold{'s' * (len(self.networks) > 1)} {' '.join(map(str, self.networks))}"
        count = self.asked.runs
        runs = f", {count} run{'s' * (count > 1)} per fold, seed {self.asked.seed}" if count else ""
        every = ", every cell" if self.everywhere else ""
        return f"{self.plans.dataset} {self.model}_{self.config}, {folds}{runs}{every}"

    def describe(self) -> str:
        """One line that says what the outputs were made with."""
        return self.title + describe_kept(self.components)

    def check_header(self, channels: int, shape: Sequence[int], spacing_mm: Sequence[float], unit: str = "") -> None:
        """Raises InputError for an image that does not fit the model, before its voxels are needed.

        shape, spacing_mm: per array axis. unit: that the header gives the spacing in, if it is not mm.
        """
        names, axes = self.plans.channel_names, self.plans.dimensions
        if len(shape) != axes or len(spacing_mm) != axes:
            raise _other_axes(self.plans, shape, spacing_mm)
        if channels != len(names):
            count = f"{len(names)} channel{'s' * (len(names) > 1)}"
            advice = "Give the image that has this channel alone."
            if len(names) > 1:
                advice = (
                    f"Give the channels in this order: one file for each, named case_0000 to "
                    f"case_{len(names) - 1:04d}, or one file or array that holds them all."
                )
            expected = f"{count} ({', '.join(names)}), as {self.plans.dataset} was trained on"
            raise InputError("", expected, str(channels), advice)
        check_spacing_range(spacing_mm, self.plans, unit)
        check_memory(channels, shape, (), 0, self.memory_bytes)


_KINDS = {2: ("2D images (y, x)", "one slice"), 3: ("volumes (z, y, x)", "a volume")}


def _other_axes(plans: Plans, shape: Sequence[int], spacing_mm: Sequence[float]) -> InputError:
    axes = plans.dimensions
    expected = f"{_KINDS[axes][0]}, as {plans.dataset} was trained on"
    if len(shape) == len(spacing_mm) and len(shape) in _KINDS:
        found = f"{_KINDS[len(shape)][1]} of {' x '.join(map(str, shape))} {voxel_unit(len(shape))}"
    else:
        found = f"{len(shape)} axes of {tuple(shape)} voxels with spacing {tuple(spacing_mm)}"
    remedy = (
        "Give the whole volume that the slice belongs to: of a DICOM series its folder, not one of its files."
        if axes == 3
        else "Give each slice as an image of its own, or use a model that was trained on volumes."
    )
    return InputError("", expected, found, remedy)


def describe_kept(components: Mapping[str, int]) -> str:
    """The end of a predictor's description; "" where all components are kept."""
    return f", keeping {describe_components(components)}" if components else ""
