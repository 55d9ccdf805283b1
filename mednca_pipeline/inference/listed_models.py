"""The models that -m knows, with what tells them apart."""

from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError
from ..workspace import Workspace
from .installed import SHIPPED, named_bundles
from .trained import trained_models
from .trained_model import TrainedModel, open_model


@dataclass(frozen=True)
class ListedModel:
    """name: for -m. options: to name with it, such as "-d 4". where: "workspace", "installed" or "shipped". dice: mean
    foreground Dice in validation, None if there was none. problem: why it cannot be read, else "".
    """

    name: str
    where: str
    options: str = ""
    dataset: str = ""
    folds: str = ""
    dice: float | None = None
    bytes: int = 0
    problem: str = ""


def listed_models(workspace: Workspace) -> list[ListedModel]:
    """Those of the workspace by dataset, then the installed and shipped ones by name. A damaged one has its problem."""
    listed = []
    for dataset in workspace.datasets():
        for folder in trained_models(workspace, dataset):
            own = folder.path.name == folder.record.name
            name = folder.path.name if own else str(folder.path)
            listed.append(_listed(name, "workspace", f"-d {_number(dataset)}" if own else "", folder.path))
    for name, file in named_bundles().items():
        listed.append(_listed(name, "shipped" if file.parent == SHIPPED else "installed", "", file))
    return listed


def _listed(name: str, where: str, options: str, path: Path) -> ListedModel:
    try:
        model = open_model(path)
        validation = model.standing().validation
        dice = validation.dice if validation else None
        folds = " ".join(map(str, model.trained_folds()))
        return ListedModel(name, where, options, model.plans.dataset, folds, dice, _bytes(model))
    except InputError as error:
        return ListedModel(name, where, options, problem=str(error))


def _number(dataset: str) -> str:
    """ "Dataset004_Hippocampus" -> "4"."""
    return dataset.removeprefix("Dataset").partition("_")[0].lstrip("0") or dataset


def _bytes(model: TrainedModel) -> int:
    """Of the bundle, or of the weights in a folder."""
    files = [model.path] if model.path.is_file() else model.path.glob("fold_*/final.safetensors")
    return sum(file.stat().st_size for file in files)
