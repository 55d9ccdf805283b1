"""Finding trained models: those of a workspace, and those that -m names by a name, a folder or a file."""

from collections.abc import Sequence
from pathlib import Path

from ..models.registry import MODELS
from ..results.fold_folder import FoldName, fold_name
from ..results.model_folder import model_folders
from ..runtime.bundle import ENDING
from ..runtime.errors import InputError
from ..workspace import Workspace
from .folder_model import FolderModel
from .installed import named_bundles
from .trained_model import StoredModel, TrainedModel, open_model


def trained_models(workspace: Workspace, dataset: str) -> list[FolderModel]:
    """Every trained model of a dataset (its full name), sorted by folder name."""
    models = []
    for folder in model_folders(workspace.results_folder(dataset)):
        record = folder.record()
        if record and not record.members and folder.trained_folds():
            models.append(FolderModel(folder, record))
    return models


def find_model(workspace: Workspace, dataset: str | None, model: str, config: str | None) -> FolderModel:
    """The trained model asked for.

    Without `dataset` the workspace's only trained one; without `config` the plan's default, or the only one that is
    trained. Raises InputError, listing what there is, when none or several fit.
    """
    name = workspace.resolve(dataset) if dataset is not None else _only_trained_dataset(workspace)
    models = trained_models(workspace, name)
    fitting = [found for found in models if found.model == model and config in (None, found.config)]
    if not fitting:
        wanted = f"{model} in configuration {config}" if config else model
        chosen = f" --config {config}" if config else ""
        raise InputError(
            name,
            f"a trained {wanted} in {workspace.results_folder(name)}",
            ", ".join(f"{found.model} ({found.config})" for found in models) or "no trained model",
            f"Train one with mednca_train {name} fold0 --model {model}{chosen}, or choose with -m and --config.",
        )
    fitting.sort(key=lambda found: found.path.name != f"{found.model}_{found.config}")  # copies last
    default = fitting[0].plans.default_config if len(fitting) > 1 else None
    return next((found for found in fitting if found.config == default), fitting[0])


def find_models(
    workspace: Workspace, dataset: str | None, names: Sequence[str], config: str | None
) -> list[StoredModel]:
    """The trained models that `-m` names.

    Each is a model, a model with its configuration (mednca_2d), the name of an installed model, or the path of a bundle
    or of a model's folder. dataset, config: as in find_model, for models of the workspace. A model of another
    configuration than `config` is an error, and so is one that is named twice.
    """
    found = [_named(workspace, dataset, name, config) for name in names]
    paths = [model.path.resolve() for model in found]
    for name, model in zip(names, found, strict=True):
        if paths.count(model.path.resolve()) > 1:
            found_twice = f"{model.path} twice"
            raise InputError(f"-m {name}", "each model once", found_twice, "Leave one of them out.")
        if config not in (None, model.config):
            expected = f"configuration {config}, as --config says"
            raise InputError(f"-m {name}", expected, model.config, "Leave --config out.")
    return found


def _named(workspace: Workspace, dataset: str | None, name: str, config: str | None) -> StoredModel:
    model, _, own_config = name.rpartition("_")
    if name in MODELS:
        return find_model(workspace, dataset, name, config)
    if model in MODELS:
        return find_model(workspace, dataset, model, own_config)
    if bundle := named_bundles().get(name):
        return open_model(bundle)
    path = Path(name).expanduser().absolute()
    if path.exists() or len(Path(name).parts) > 1 or name.endswith(ENDING):
        return open_model(path)
    known = [*MODELS, *named_bundles()]
    remedy = "mednca_models lists what there is here."
    raise InputError(f"-m {name}", f"one of {', '.join(known)}, a bundle, or a model's folder", "none of these", remedy)


def choose_folds(model: TrainedModel, folds: Sequence[FoldName] | None) -> tuple[FoldName, ...]:
    """The folds to predict with: those given, else every finished numbered fold, else the fold "all".

    Raises InputError when a fold that was asked for, or any fold at all, has no final weights.
    """
    finished = model.trained_folds()
    if folds is None:
        chosen = tuple(fold for fold in finished if fold != "all") or finished
    else:
        chosen = tuple(dict.fromkeys(fold_name(fold) for fold in folds))
    missing = [str(fold) for fold in chosen if fold not in finished]
    if missing or not chosen:
        raise InputError(
            model.path,
            f"final weights of fold {', '.join(missing) or '0'}",
            ", ".join(map(str, finished)) or "no finished fold",
            "Choose others with --folds, or train the fold.",
        )
    return chosen


def _only_trained_dataset(workspace: Workspace) -> str:
    trained = [name for name in workspace.datasets() if trained_models(workspace, name)]
    if len(trained) == 1:
        return trained[0]
    found, remedy = ", ".join(trained), "Choose one with -d."
    if not trained:
        found, remedy = "none", "Train one with mednca_train, or name the workspace with --root."
    raise InputError(workspace.root / "results", "one trained dataset", found, remedy)
