"""The models of a workspace and of this machine, as bundles that the page can open."""

from collections.abc import Callable
from pathlib import Path

from ..deploy.bundle import write_bundle
from ..deploy.card import facts_of_dataset, make_card
from ..inference.folder_model import FolderModel
from ..inference.installed import named_bundles
from ..inference.trained import trained_models
from ..plans.model_plans import NCAPlan
from ..runtime.bundle import ENDING
from ..workspace import Workspace
from .server import given


def model_files(workspace: Workspace, scratch: Path) -> dict[str, Callable[[], Path]]:
    """Name -> bundle. Those of the workspace are written into `scratch` when they are asked for; UNets are left out."""
    found: dict[str, Callable[[], Path]] = {}
    for dataset in workspace.datasets():
        for model in trained_models(workspace, dataset):
            if isinstance(model.plans.config(model.config).model(model.model), NCAPlan):
                name = f"{dataset} {model.path.name}"
                found[name] = _Exported(workspace, model, scratch / f"{dataset}_{model.path.name}{ENDING}")
    return found | {name: given(file) for name, file in named_bundles().items()}


class _Exported:
    """The bundle of a model in the workspace, written once."""

    def __init__(self, workspace: Workspace, model: FolderModel, out: Path) -> None:
        self.workspace, self.model, self.out = workspace, model, out

    def __call__(self) -> Path:
        if not self.out.exists():
            folds = [fold for fold in self.model.trained_folds() if fold != "all"] or list(self.model.trained_folds())
            card = make_card(self.model, folds, facts_of_dataset(self.workspace, self.model.plans.dataset))
            write_bundle(self.model, folds, "float32", card, self.out)
        return self.out
