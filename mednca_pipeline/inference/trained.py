"""What a workspace holds of trained models: which datasets, models and configurations, with which finished folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..models.registry import MODELS, read_plans
from ..plans.plans import Plans
from ..results.fold_folder import FoldFolder, FoldName, fold_name
from ..results.model_folder import ModelFolder, ModelRecord, model_folders
from ..runtime.errors import InputError
from ..workspace import Workspace


@dataclass(frozen=True)
class TrainedModel:
    """A model's folder."""

    model: str
    config: str
    folder: ModelFolder


def trained_models(workspace: Workspace, dataset: str) -> list[TrainedModel]:
    """Every trained model of a dataset (its full name), sorted by folder name."""
    models = []
    for folder in model_folders(workspace.results_folder(dataset)):
        record = folder.record()
        if record and not record.members and folder.trained_folds():
            models.append(TrainedModel(record.model, record.config, folder))
    return models


def model_record(folder: ModelFolder) -> ModelRecord:
    """Which model a folder holds. Raises InputError unless it is one that can predict."""
    record = folder.record()
    if record is None or record.members or record.model not in MODELS or not folder.plans_file.is_file():
        found = "no plans.json in it" if record and record.model in MODELS else "no model of this version"
        expected = "the folder of a trained model, with its model.json and plans.json"
        raise InputError(folder.path, expected, found, "Give results/DATASET/MODEL_CONFIG, or a copy of it.")
    return record


def present_digest(folder: ModelFolder) -> str | None:
    """Digest of the plans kept in a model's folder, or None when there are none."""
    record = folder.record()
    if record is None or record.members or not folder.plans_file.is_file():
        return None
    return read_plans(folder.plans_file).digest(record.config, record.model)


def find_model(workspace: Workspace, dataset: str | None, model: str, config: str | None) -> TrainedModel:
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
    fitting.sort(key=lambda found: found.folder.path.name != f"{found.model}_{found.config}")  # copies last
    default = read_plans(fitting[0].folder.plans_file).default_config if len(fitting) > 1 else None
    return next((found for found in fitting if found.config == default), fitting[0])


def find_models(
    workspace: Workspace, dataset: str | None, names: Sequence[str], config: str | None
) -> list[TrainedModel]:
    """The trained models that `-m` names: each a model, one with its configuration (mednca_2d), or a model's folder.

    dataset, config: as in find_model, for names; a name or folder of another configuration than `config` is an error,
    and so is a model that is named twice.
    """
    found = [_named(workspace, dataset, name, config) for name in names]
    folders = [model.folder.path.resolve() for model in found]
    for name, model in zip(names, found, strict=True):
        if folders.count(model.folder.path.resolve()) > 1:
            found_twice = f"{model.folder.path} twice"
            raise InputError(f"-m {name}", "each model once", found_twice, "Leave one of them out.")
        if config not in (None, model.config):
            expected = f"configuration {config}, as --config says"
            raise InputError(f"-m {name}", expected, model.config, "Leave --config out.")
    return found


def _named(workspace: Workspace, dataset: str | None, name: str, config: str | None) -> TrainedModel:
    model, _, own_config = name.rpartition("_")
    if name in MODELS:
        return find_model(workspace, dataset, name, config)
    if model in MODELS:
        return find_model(workspace, dataset, model, own_config)
    if Path(name).expanduser().is_dir() or len(Path(name).parts) > 1:
        folder = ModelFolder(Path(name).expanduser().absolute())
        record = model_record(folder)
        return TrainedModel(record.model, record.config, folder)
    return find_model(workspace, dataset, name, config)  # says what there is


def choose_folds(folder: ModelFolder, folds: Sequence[FoldName] | None) -> tuple[FoldName, ...]:
    """The folds to predict with: those given, else every finished numbered fold, else the fold "all".

    Raises InputError when a fold that was asked for, or any fold at all, has no final weights.
    """
    finished = folder.trained_folds()
    if folds is None:
        chosen = tuple(fold for fold in finished if fold != "all") or finished
    else:
        chosen = tuple(dict.fromkeys(fold_name(fold) for fold in folds))
    missing = [str(fold) for fold in chosen if fold not in finished]
    if missing or not chosen:
        weights = folder.fold("k").weights.relative_to(folder.path)
        raise InputError(
            folder.path,
            f"final weights ({weights}) of fold {', '.join(missing) or '0'}",
            ", ".join(map(str, finished)) or "no finished fold",
            "Train it, or choose others with --folds.",
        )
    return chosen


def check_fold(fold: FoldFolder, plans: Plans, record: ModelRecord) -> None:
    """Raises InputError when a fold was trained with other plans than those kept in its model's folder."""
    run, expected = fold.run(), plans.digest(record.config, record.model)
    if run is None or run.digest != expected:
        raise InputError(
            fold.run_file,
            f"a fold trained with the plans of its model's folder (digest {expected})",
            f"digest {run and run.digest}",
            "Train this fold again with --force, or leave it out with --folds: folds of different plans are never "
            "mixed.",
        )


def _only_trained_dataset(workspace: Workspace) -> str:
    trained = [name for name in workspace.datasets() if trained_models(workspace, name)]
    if len(trained) == 1:
        return trained[0]
    found, remedy = ", ".join(trained), "Choose one with -d."
    if not trained:
        found, remedy = "none", "Train one with mednca_train, or name the workspace with --root."
    raise InputError(workspace.root / "results", "one trained dataset", found, remedy)
