"""A trained model in the folder that training writes (results.model_folder)."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..models.registry import MODELS, read_plans
from ..plans.plans import Plans
from ..results.fold_folder import FoldName
from ..results.model_folder import ModelFolder, ModelRecord
from ..runtime.errors import InputError
from ..runtime.hashes import file_sha256
from ..runtime.quality import Standing
from ..runtime.weights import FoldWeights, read_weights
from .calibration import read_standing


@dataclass(frozen=True)
class FolderModel:
    """A model in results/DATASET/MODEL_CONFIG, or in a copy of that folder."""

    folder: ModelFolder
    record: ModelRecord

    @classmethod
    def open(cls, path: Path) -> "FolderModel":
        """Raises InputError unless the folder holds a model that can predict."""
        folder = ModelFolder(path)
        record = folder.record()
        if record is None or record.members or record.model not in MODELS or not folder.plans_file.is_file():
            found = "no plans.json in it" if record and record.model in MODELS else "no model of this version"
            expected = "the folder of a trained model, with its model.json and plans.json"
            raise InputError(folder.path, expected, found, "Give results/DATASET/MODEL_CONFIG, or a copy of it.")
        return cls(folder, record)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def model(self) -> str:
        return self.record.model

    @property
    def config(self) -> str:
        return self.record.config

    @cached_property
    def plans(self) -> Plans:
        return read_plans(self.folder.plans_file)

    @property
    def digest(self) -> str:
        return self.plans.digest(self.config, self.model)

    def trained_folds(self) -> tuple[FoldName, ...]:
        return self.folder.trained_folds()

    def weights(self, fold: FoldName) -> FoldWeights:
        own = self.folder.fold(fold)
        run = own.run()
        if run is None or run.digest != self.digest:
            raise InputError(
                own.run_file,
                f"a fold trained with the plans of its model's folder (digest {self.digest})",
                f"digest {run and run.digest}",
                "Train this fold again with --force, or leave it out with --folds: folds of different plans are never "
                "mixed.",
            )
        return read_weights(own.weights)

    def weights_sha256(self, fold: FoldName) -> str:
        return file_sha256(self.folder.fold(fold).weights)

    def standing(self) -> Standing:
        return read_standing(self.folder)

    def components(self) -> dict[str, int]:
        chosen = self.folder.postprocessing(self.digest)
        return self.plans.components if chosen is None else chosen.components
