"""A trained model as prediction sees it, wherever it lies: in the folder that training writes, or in a bundle."""

from pathlib import Path
from typing import Protocol

from ..plans.plans import Plans
from ..results.fold_folder import FoldName
from ..runtime.bundle import ENDING
from ..runtime.quality import Standing
from ..runtime.weights import FoldWeights
from .bundle_model import BundleModel
from .folder_model import FolderModel


class TrainedModel(Protocol):
    """What prediction needs of a model.

    path: of the folder or the bundle. model, config: their names in `plans`. Reading raises InputError for files that
    are damaged or do not belong together.
    """

    @property
    def path(self) -> Path: ...

    @property
    def model(self) -> str: ...

    @property
    def config(self) -> str: ...

    @property
    def plans(self) -> Plans: ...

    def trained_folds(self) -> tuple[FoldName, ...]:
        """The folds that have final weights: numbers in order, then "all"."""

    def weights(self, fold: FoldName) -> FoldWeights:
        """Final weights. Raises InputError for a fold that was trained with other plans than the model's."""

    def weights_sha256(self, fold: FoldName) -> str:
        """Of the fold's file; a bundle in float32 has the same files as the folder that it was made of."""

    def standing(self) -> Standing:
        """What the model's validation says."""

    def components(self) -> dict[str, int]:
        """Class -> how many of its largest components are kept; absent: all."""


StoredModel = FolderModel | BundleModel


def open_model(path: Path) -> StoredModel:
    """The model in a folder or a bundle. Raises InputError where there is none."""
    return BundleModel.open(path) if path.is_file() or path.suffix == ENDING else FolderModel.open(path)
