"""The model card's facts, from a model's folder and its dataset."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..datasets.dataset import load_dataset
from ..datasets.description import NAME as DATASET_JSON
from ..evaluation.metrics import Units
from ..evaluation.summary import make_summary
from ..inference.bundle_model import BundleModel
from ..inference.calibration import validated_folds
from ..inference.folder_model import FolderModel
from ..inference.trained_model import StoredModel
from ..results.fold_folder import FoldName
from ..results.model_card import Card, DataFacts, FoldFacts, Measures
from ..results.summary import Summary
from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..runtime.printing import printable
from ..workspace import Workspace

MOST_TEXT = 500  # characters of what dataset.json says
PACKAGES = ("mednca_pipeline", "numpy", "python", "torch")  # whose versions are told


def card_of(model: StoredModel, folds: Sequence[FoldName], data: DataFacts) -> Card:
    """The card that a bundle has; of a folder as `make_card`."""
    return model.card if isinstance(model, BundleModel) else make_card(model, folds, data)


def make_card(model: FolderModel, folds: Sequence[FoldName], data: DataFacts) -> Card:
    """Of these folds. Raises InputError for damaged records, and for weights of other plans."""
    validated = {fold.name: fold.summary() for fold in validated_folds(model.folder) if fold.name in folds}
    facts = {str(fold): _fold_facts(model, fold, validated.get(fold)) for fold in folds}
    parameters = sum(array.size for array in model.weights(folds[0]).arrays.values())
    return Card(data, facts, parameters, _measures(list(validated.values())))


def facts_of_dataset(workspace: Workspace, dataset: str) -> DataFacts:
    """Of a dataset in the workspace; nothing where its raw data are not there, as for a model that was copied."""
    try:
        return data_facts(workspace.raw_folder(dataset))
    except InputError:
        return DataFacts()


def data_facts(raw: Path) -> DataFacts:
    """What the dataset in the folder `raw` says of itself. Raises InputError for one that cannot be read."""
    dataset, values = load_dataset(raw), read_json(raw / DATASET_JSON)
    cases = sum(case.label is not None for case in dataset.training)
    licence = _text(values, "licence") or _text(values, "license")
    return DataFacts(_text(values, "description"), licence, _text(values, "reference"), cases)


def _text(values: dict[str, Any], key: str) -> str:
    found = values.get(key)
    return printable(" ".join(found.split())[:MOST_TEXT]) if isinstance(found, str) else ""


def _fold_facts(model: FolderModel, fold: FoldName, summary: Summary | None) -> FoldFacts:
    run = model.folder.fold(fold).run()
    cases = len(summary.cases) if summary else 0
    if run is None:
        return FoldFacts(cases)
    versions = {name: run.versions[name] for name in PACKAGES if name in run.versions}
    return FoldFacts(cases, run.iterations, run.training_minutes, run.seed, run.commit, versions)


def _measures(summaries: list[Summary]) -> Measures | None:
    cases = {name: case for summary in summaries for name, case in summary.cases.items()}
    if not cases:
        return None
    whole = make_summary(cases, Units())  # the units are those of the folds, which were measured before
    return Measures(len(cases), whole.mean, whole.sd, summaries[0].units)
