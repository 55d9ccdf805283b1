"""One model's folder: which model it is, its folds, and what was learned from all of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..plans.plans import Plans, write_plans
from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.names import check_name
from ..runtime.quality import Threshold, Validation
from ..runtime.records import Name, from_dict
from .fold_folder import FoldFolder, FoldName
from .postprocessing import Postprocessing, read_postprocessing
from .run_record import RunRecord

SCHEMA = 1
QUALITY_SCHEMA = 3  # 2: no validation; 1: thresholds of the standard deviation of random runs
_FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True)
class ModelRecord:
    """model.json: which model of which configuration a folder holds, or the `members` of which it is the mean.

    members: names of model folders, such as mednca_2d. dataset: "" where no file says it.
    """

    dataset: str
    model: str = ""
    config: str = ""
    members: tuple[Name, ...] = ()
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if bool(self.members) == bool(self.model and self.config):
            found = f"model {self.model!r}, config {self.config!r} and members {self.members}"
            raise InputError("model.json", "either a model and its config, or members", found, "Correct or delete it.")
        for part in filter(None, (self.dataset, self.model, self.config)):
            check_name("model.json", part)

    @property
    def name(self) -> str:
        """Of the folder where training puts it."""
        return "+".join(self.members) or f"{self.model}_{self.config}"


@dataclass(frozen=True)
class QualityRecord:
    """quality.json: how good a model was in validation, and from which quality score on a case asks for a review.

    digest: of the plans of `folds`. threshold: None for a model without scores. validation: None in files of schema 2.
    """

    digest: str | None
    folds: tuple[int, ...]
    threshold: Threshold | None
    validation: Validation | None = None
    schema: int = QUALITY_SCHEMA


@dataclass(frozen=True)
class ModelFolder:
    """results/<dataset>/<model>_<config>, or wherever it was copied to."""

    path: Path

    @classmethod
    def of(cls, results: Path, record: ModelRecord) -> "ModelFolder":
        """Where training puts it below results/<dataset>."""
        return cls(results / record.name)

    @property
    def plans_file(self) -> Path:
        """A copy of the plans that its folds were trained with."""
        return self.path / "plans.json"

    @property
    def record_file(self) -> Path:
        return self.path / "model.json"

    @property
    def postprocessing_file(self) -> Path:
        return self.path / "postprocessing.json"

    @property
    def quality_file(self) -> Path:
        return self.path / "quality.json"

    def record(self) -> ModelRecord | None:
        """Which model it is, by model.json; in folders from before that file by a fold's run.json, or by the name.

        None for a folder of something else. Raises InputError for a damaged model.json.
        """
        if self.record_file.exists():
            return from_dict(ModelRecord, read_json(self.record_file, schema=SCHEMA), str(self.record_file))
        runs = (fold.run() for fold in self.folds())
        try:
            told = next((record for record in map(_told_by_run, runs) if record), None)
        except InputError:  # a damaged run.json: whoever reads that fold says so
            told = None
        return told or _told_by_name(self.path.resolve().name)

    def write_record(self, record: ModelRecord) -> None:
        write_json(self.record_file, record)

    def fold(self, name: FoldName) -> FoldFolder:
        return FoldFolder(self.path / f"fold_{name}")

    def folds(self) -> list[FoldFolder]:
        """Those with a folder: numbers in order, then "all"."""
        named = (path for path in self.path.glob("fold_*") if path.is_dir() and _FOLD.fullmatch(path.name))
        return sorted(map(FoldFolder, named), key=lambda fold: (isinstance(fold.name, str), fold.name))

    def trained_folds(self) -> tuple[FoldName, ...]:
        """The folds that have final weights: numbers in order, then "all"."""
        return tuple(fold.name for fold in self.folds() if fold.has_final_weights())

    def begin(self, record: ModelRecord, plans: Plans, run: RunRecord) -> None:
        """Begins the training of run.fold: says which model this is, and removes what a former training left."""
        assert run.fold is not None  # which only files of earlier versions lack
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_record(record)
        write_plans(self.plans_file, plans)
        self.fold(run.fold).begin(run)

    def require_same_origin(self, digest: str, splits: Sequence[str], besides: FoldName | None = None) -> None:
        """Raises InputError when a fold was trained with other plans, or on other cases, than the present ones.

        digest: of the plans. splits: the digest of each fold's cases; () for any. besides: a fold that may be so.
        """
        folds = [fold for fold in self.folds() if fold.name != besides]
        runs = {fold.name: run for fold in folds if (run := fold.run())}
        expected: dict[FoldName, str] = dict(enumerate(splits))
        plans = [name for name, run in runs.items() if run.digest != digest]
        cases = [name for name, run in runs.items() if name != "all" and run.split != expected.get(name)]
        for what, foreign in (("plans", plans), ("splits", cases if splits else [])):
            if foreign:
                raise InputError(
                    self.path,
                    f"folds trained with the present {what}.json",
                    f"{', '.join(f'fold_{name}' for name in foreign)} trained with other {what}",
                    f"Move that folder away, or plan as before: folds of different {what} are never mixed.",
                )

    def postprocessing(self, digest: str) -> Postprocessing | None:
        """As read_postprocessing."""
        return read_postprocessing(self.postprocessing_file, digest)

    def write_postprocessing(self, chosen: Postprocessing) -> None:
        write_json(self.postprocessing_file, chosen)

    def quality(self) -> QualityRecord | None:
        """None where nothing was learned, or for an earlier form of the score. Raises InputError for a damaged file."""
        if not self.quality_file.exists():
            return None
        stored = read_json(self.quality_file)
        schema = stored.get("schema") if isinstance(stored, dict) else None
        if schema == 1:
            return None
        if schema != 2:
            stored = read_json(self.quality_file, schema=QUALITY_SCHEMA)
        return from_dict(QualityRecord, stored, str(self.quality_file))

    def write_quality(self, record: QualityRecord | None) -> None:
        """None removes the file."""
        if record is None:
            self.quality_file.unlink(missing_ok=True)
        else:
            write_json(self.quality_file, record)


def model_folders(results: Path) -> list[ModelFolder]:
    """The folders below results/<dataset> that hold a model or an ensemble, by name."""
    folders = sorted(path for path in results.iterdir() if path.is_dir()) if results.is_dir() else []
    return [folder for folder in map(ModelFolder, folders) if folder.record()]


def _told_by_run(run: RunRecord | None) -> ModelRecord | None:
    if run and run.model and run.config:
        return ModelRecord(run.dataset or "", run.model, run.config)
    return None


def _told_by_name(name: str) -> ModelRecord | None:
    members = tuple(name.split("+"))
    parts = [member.rpartition("_") for member in members]
    if not all(model and config for model, _, config in parts):
        return None
    if len(members) > 1:
        return ModelRecord("", members=members)
    return ModelRecord("", parts[0][0], parts[0][2])
