"""Training batches, each sample a pure function of (seed, fold, iteration, index)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from batchgenerators.transforms.abstract_transforms import AbstractTransform

from ..preprocessing.store import CaseProperties, CaseStore
from ..runtime.errors import InputError
from ..runtime.labels import Labels
from ..runtime.position import position_channels
from ..runtime.slices import centred_slice
from ..training import sampling
from ..training.artefacts import ArtefactRecipe, with_artefacts
from ..training.augmentation import augment, training_transforms

POSITION_SHIFT = 0.1  # SD, in half sides, by which a sample's position is moved: other scans are framed otherwise


@dataclass(frozen=True)
class BatchRecipe:
    """All that decides the batches of a training. Tuples of voxels have `dim` entries.

    patch: the window that the finest level sees (image_size: the whole image). factor: its origin is a multiple of
    this. foreground_share: of the samples, how many are forced to show foreground. augmentation: how often,
    relative to nnU-Net; 0: never. mirror_axes: flipped at random. artefacts: None for none. adjacent_slices: on either
    side, which are further channels of a 2D sample. position: sides of a typical image, if the last channels of a
    sample are to tell where in their image its voxels lie (runtime.position); else (). No transform flips or
    turns these; each sample's are moved as a whole, by POSITION_SHIFT times `augmentation`. transforms: makes the
    augmentation of such a recipe.
    """

    store: Path
    cases: tuple[str, ...]
    labels: Labels
    dim: int
    image_size: tuple[int, ...]
    patch: tuple[int, ...]
    factor: tuple[int, ...]
    batch_size: int
    foreground_share: float = 0.5
    seed: int = 0
    fold: int | str = 0
    augmentation: float = 1.0
    mirror_axes: tuple[int, ...] = ()
    artefacts: ArtefactRecipe | None = None
    adjacent_slices: int = 0
    position: tuple[float, ...] = ()
    transforms: "Transforms" = field(default_factory=lambda: planned_transforms)

    def __post_init__(self) -> None:
        if not self.cases:
            remedy = "Name cases in the fold's training list, in splits.json."
            raise InputError(self.store, "cases to train on", "none", remedy)
        if not {len(self.image_size), len(self.patch), len(self.factor)} == {self.dim}:
            raise ValueError(f"image_size, patch and factor need {self.dim} entries: {self}")
        if any(window > size for window, size in zip(self.patch, self.image_size, strict=True)):
            raise ValueError(f"patch {self.patch} is larger than image_size {self.image_size}")
        if self.dim == 3 and self.adjacent_slices:
            raise ValueError("adjacent_slices are for 2D samples: a 3D sample has its neighbours")

    def seed_of(self, iteration: int, *index: int) -> np.random.SeedSequence:
        """The randomness of an iteration, or of one of its samples."""
        fold = 0 if self.fold == "all" else int(self.fold) + 1
        return np.random.SeedSequence((self.seed, fold, iteration, *index))


Transforms = Callable[[BatchRecipe], AbstractTransform | None]


def planned_transforms(recipe: BatchRecipe) -> AbstractTransform | None:
    """The augmentation that a recipe asks for; None for none."""
    if not (recipe.augmentation or recipe.mirror_axes):
        return None
    slices = 2 * recipe.adjacent_slices + 1
    return training_transforms(recipe.image_size, recipe.mirror_axes, recipe.augmentation, slices)


Sample = tuple[np.ndarray, np.ndarray, tuple[int, ...]]  # image (C, *image_size), labels (*image_size), patch's origin


class Batch(NamedTuple):
    """image: (B, C, *image_size) float32. labels: (B, *image_size) int16. origin: (B, dim) int64, of the patch."""

    image: np.ndarray
    labels: np.ndarray
    origin: np.ndarray


class Sampler:
    """Makes the batches of a recipe; keeps the cases' properties in memory, never their arrays."""

    def __init__(self, recipe: BatchRecipe):
        self.recipe = recipe
        self._store = CaseStore(recipe.store)
        self._properties: dict[str, CaseProperties] = {}
        self._transforms = recipe.transforms(recipe)

    def batch(self, iteration: int) -> Batch:
        """The batch of this iteration (0 is the first)."""
        samples = [self.sample(iteration, index) for index in range(self.recipe.batch_size)]
        images, labels, origins = zip(*samples, strict=True)
        return Batch(np.stack(images), np.stack(labels), np.array(origins, dtype=np.int64))

    def sample(self, iteration: int, index: int) -> Sample:
        """One sample. Errors carry the case's name."""
        recipe = self.recipe
        choices, *entropy = recipe.seed_of(iteration, index).spawn(3)
        rng = np.random.default_rng(choices)
        case = recipe.cases[rng.integers(len(recipe.cases))]
        forced = sampling.shows_foreground(iteration * recipe.batch_size + index, recipe.foreground_share)
        try:
            return self._sample(case, forced, rng, *entropy)
        except InputError:
            raise
        except Exception as error:
            raise RuntimeError(
                f"case {case} (iteration {iteration}, sample {index}): {type(error).__name__}: {error}"
            ) from error

    def _sample(
        self,
        case: str,
        forced: bool,
        rng: np.random.Generator,
        transforms: np.random.SeedSequence,
        artefacts: np.random.SeedSequence,
    ) -> Sample:
        """transforms, artefacts: seeds of these."""
        recipe = self.recipe
        if case not in self._properties:
            self._properties[case] = self._store.properties(case)
        properties = self._properties[case]
        output = sampling.choose_output(properties, rng) if forced else None
        box = self._window(case, properties, output, rng)
        size, adjacent = recipe.image_size, recipe.adjacent_slices
        seen = [[box[0][0] - adjacent, box[0][1] + adjacent], *box[1:]]
        image = crop_and_pad_nd(self._store.image(case), seen, pad_mode="edge")
        labels = crop_and_pad_nd(self._store.labels(case), box, pad_mode="edge").astype(np.int16).reshape(size)
        image = centred_slice(image) if recipe.dim == 2 else image  # (C, *image_size)
        if self._transforms is not None:
            image, labels = augment(image, labels, self._transforms, transforms)
        if recipe.artefacts:
            image = with_artefacts(image, recipe.artefacts, 2 * adjacent + 1, np.random.default_rng(artefacts))
        if recipe.position:
            shift = rng.normal(0, POSITION_SHIFT * recipe.augmentation, len(recipe.position))
            position = position_channels(properties.shape, box, recipe.position, shift)
            image = np.concatenate([image, position.reshape(-1, *size)])
        voxel = self._patch_voxel(labels, output, rng)
        return image, labels, sampling.patch_origin(size, recipe.patch, recipe.factor, voxel, rng)

    def _window(
        self, case: str, properties: CaseProperties, output: str | None, rng: np.random.Generator
    ) -> sampling.Box:
        """Over (S, H, W): a slice in 2D."""
        size, voxel = self.recipe.image_size, None
        if self.recipe.dim == 3:
            voxel = None if output is None else sampling.choose_voxel(properties, output, rng)
            return sampling.image_window(properties.shape, size, voxel, rng)
        index = sampling.choose_slice(properties, output, rng)
        shape = properties.shape[1:]
        if output is not None and any(extent > wanted for extent, wanted in zip(shape, size, strict=True)):
            labels = self._store.labels(case)[index]  # decompresses this slice only
            voxel = sampling.random_voxel(sampling.mask_of(labels, output, self.recipe.labels), rng)
        return [[index, index + 1], *sampling.image_window(shape, size, voxel, rng)]

    def _patch_voxel(self, labels: np.ndarray, output: str | None, rng: np.random.Generator) -> tuple[int, ...] | None:
        """A voxel at the outline of `output` to put the patch around: prediction computes fine levels only there.

        Of any foreground where augmentation moved the output out of sight.
        """
        if output is None or self.recipe.patch == self.recipe.image_size:
            return None
        for wanted in (output, None):
            outline = sampling.outline_of(sampling.mask_of(labels, wanted, self.recipe.labels))
            voxel = sampling.random_voxel(outline, rng)
            if voxel is not None:
                return voxel
        return None
