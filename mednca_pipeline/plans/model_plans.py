"""The plan of a model: what decides its weights and how it predicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from ..runtime.errors import InputError
from ..runtime.grid import Border
from ..runtime.light_nca import NormKind
from ..runtime.outline import Outline
from ..runtime.records import Between, Index, Positive, Share, Side

Window = tuple[tuple[int, ...], tuple[int, ...]]  # per axis: size in voxels, and what its origin is a multiple of
Often = Annotated[float, Between(0, 1000)]
Units = Annotated[int, Between(1, 65_536)]  # channels, hidden units, features
Perception = Literal["matrix", "paper"]  # one folded linear map, or identity and two 3x3 filter banks


class ModelPlan:
    """What the plan of every model has. A dataclass that derives from it has these fields and adds its own.

    training: how the model is trained. adjacent_slices: number of slices on either side that a 2D network of a volume
    sees as further image channels. position: sides of a typical image if the network sees the position of its voxels
    (runtime.position), else ().
    """

    training: "TrainingPlan"
    adjacent_slices: int
    position: tuple[float, ...]

    def check(self, dim: int) -> None:
        """Raises InputError where the parts of the plan do not fit each other, or images of `dim` axes."""
        if len(self.position) not in (0, dim, 3):
            raise InputError("position", "the sides of an image, or none", f"{len(self.position)} sides")

    def window(self, image_size: Sequence[int]) -> Window:
        """The part of a sample of `image_size` that training sees at full resolution: here the whole sample."""
        return tuple(image_size), (1,) * len(image_size)


@dataclass(frozen=True)
class LevelPlan:
    """One level of an NCA, coarsest first in a plan.

    factor: downscale factor per axis, relative to the preprocessed image.
    steps: number of NCA steps at this level.
    patch: size in this level's own cells that training sees, or None for the whole image. Inference sees whole images.
    """

    factor: tuple[Side, ...]
    steps: Annotated[int, Between(1, 10_000)]
    patch: tuple[Side, ...] | None = None


def grid_shape(image_shape: Sequence[float], factor: Sequence[int]) -> tuple[int, ...]:
    """Cells per axis of a level's whole grid."""
    return tuple(math.ceil(side / f) for side, f in zip(image_shape, factor, strict=True))


@dataclass(frozen=True)
class TrainingPlan:
    """How a model is trained. `minutes` is the schedule per device type, used without --budget or --iterations."""

    optimiser: Literal["muon", "adam"]  # "muon" is Muon for matrices and Adam for the rest
    learning_rate: Positive
    batch_size: Annotated[int, Between(1, 100_000)]
    ema_decay: Share
    minutes: dict[str, Positive]  # {"cpu": 15.0, "cuda": 8.0}
    foreground_share: Share = 0.5  # share of samples whose slice and patch are forced to show foreground
    gradient_clip: Positive = 1.0
    betas: tuple[Share, Share] = (0.9, 0.999)  # Adam's
    augmentation: Often = 1.0  # how often a sample is augmented, relative to nnU-Net; 0: never
    mirror_axes: tuple[Annotated[int, Between(0, 2)], ...] = ()  # axes of the sample that are flipped at random
    artefacts: Share = 0.0  # share of the samples that have an image artefact
    artefact_kinds: tuple[str, ...] = ()  # names in evaluation.artefacts.ARTEFACTS, all equally likely
    at_outline: bool = False  # fine levels compute the cells that prediction would compute; else their whole patch
    weight_decay: Share = 0.0  # decoupled: each step takes off rate * weight_decay of the weights (Muon: of matrices)
    most_views: Index = 0  # of each slice (in 3D: of each case), after which `minutes` end early; 0: never
    expected_share: Share = 0.0  # of an NCA's iterations in which cells apply the expected update, as in prediction
    coarser_share: Share = 0.5  # an NCA's loss at a level counts this share of the loss at the next finer level


@dataclass(frozen=True)
class NCAPlan(ModelPlan):
    """A Med-NCA: channels and hidden units of the cell, and its levels, coarsest first."""

    channels: Units
    hidden: Units
    fire_rate: Share  # the probability that a cell fires in a step
    norm: NormKind  # per cell over the hidden units, before the ReLU
    border: Border  # padding of the perception
    perception: Perception
    levels: tuple[LevelPlan, ...]
    training: TrainingPlan
    adjacent_slices: Annotated[int, Between(0, 100)] = 0
    position: tuple[Positive, ...] = ()
    keep_every: Index = 0  # gradient checkpointing keeps every so many states; 0: none, everything is kept
    outline: Outline | None = None  # which cells prediction computes; None: all, for coarse levels without a loss

    def check(self, dim: int) -> None:
        super().check(dim)
        if not self.levels:
            raise InputError("levels", "at least one", "none")
        finer = (1,) * dim
        for index, level in reversed(list(enumerate(self.levels))):
            if len(level.factor) != dim or any(a % b for a, b in zip(level.factor, finer, strict=True)):
                expected = f"whole multiples of the next level's ({' '.join(map(str, finer))})"
                raise InputError(f"levels[{index}].factor", expected, " ".join(map(str, level.factor)))
            if level.patch is not None and len(level.patch) != dim:
                raise InputError(f"levels[{index}].patch", f"{dim} sides", str(len(level.patch)))
            finer = level.factor

    def window(self, image_size: Sequence[int]) -> Window:
        """The patch of the finest level. It starts where a cell of the coarsest level starts."""
        finest = self.levels[-1]
        if finest.patch is None:
            return tuple(image_size), self.levels[0].factor
        size = tuple(side * factor for side, factor in zip(finest.patch, finest.factor, strict=True))
        return size, self.levels[0].factor


@dataclass(frozen=True)
class UNetPlan(ModelPlan):
    """A DynUNet in nnU-Net's topology: one entry per stage, finest first."""

    features: tuple[Units, ...]
    strides: tuple[tuple[Annotated[int, Between(1, 64)], ...], ...]
    kernel_sizes: tuple[tuple[Annotated[int, Between(1, 64)], ...], ...]
    patch: tuple[Side, ...]  # in voxels of the preprocessed image; inference slides it over larger images
    training: TrainingPlan
    adjacent_slices: Annotated[int, Between(0, 100)] = 0
    position: tuple[Positive, ...] = ()

    def check(self, dim: int) -> None:
        super().check(dim)
        stages = len(self.features)
        if not stages or len(self.strides) != stages or len(self.kernel_sizes) != stages:
            found = f"{stages} features, {len(self.strides)} strides, {len(self.kernel_sizes)} kernel_sizes"
            raise InputError("features", "as many strides and kernel_sizes, at least one", found)
        for name in ("strides", "kernel_sizes"):
            for index, sides in enumerate(getattr(self, name)):
                if len(sides) != dim:
                    raise InputError(f"{name}[{index}]", f"{dim} entries", str(len(sides)))
        if len(self.patch) != dim:
            raise InputError("patch", f"{dim} sides", str(len(self.patch)))

    def window(self, image_size: Sequence[int]) -> Window:
        return self.patch, (1,) * len(self.patch)
