"""What a workspace holds of trained models: which datasets, models and configurations, with which finished folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..models.registry import MODELS, read_plans
from ..plans.plans import Plans
from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..workspace import Workspace, fold_name

WEIGHTS = "final.safetensors"
Fold = int | str  # a number, or "all"


@dataclass(frozen=True)
class TrainedModel:
    """A model folder `results/<dataset>/<model>_<config>` with at least one finished fold."""

    dataset: str
    model: str
    config: str
    folder: Path
    folds: tuple[Fold, ...]


def trained_folds(model_folder: Path) -> tuple[Fold, ...]:
    """The folds of a model folder that have final weights: numbers in order, then "all"."""
    found = [path.parent.name for path in Path(model_folder).glob(f"fold_*/{WEIGHTS}")]
    return tuple(sorted(map(fold_name, found), key=lambda fold: (isinstance(fold, str), fold)))


def trained_models(workspace: Workspace, dataset: str) -> list[TrainedModel]:
    """Every trained model of a dataset (its full name), sorted by folder name."""
    models = []
    for folder in sorted(workspace.results_folder(dataset).glob("*_*/")):
        folds = trained_folds(folder)
        if folds:
            model, config = folder.name.rsplit("_", 1)
            models.append(TrainedModel(dataset, model, config, folder, folds))
    return models


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
        raise InputError(
            f"{name}: expected a trained {wanted} in {workspace.results_folder(name)}, found {_listing(models)}. "
            f"Train one with mednca_train {name} fold0 --model {model}, or choose with -m and --config."
        )
    if len(fitting) == 1:
        return fitting[0]
    default = read_plans(fitting[0].folder / "plans.json").default_config
    return next((found for found in fitting if found.config == default), fitting[0])


def find_models(
    workspace: Workspace, dataset: str | None, names: Sequence[str], config: str | None
) -> list[TrainedModel]:
    """The trained models that `-m` names: each a model, one with its configuration (mednca_2d), or a model's folder.

    dataset, config: as in find_model, for names; a name or folder of another configuration than `config` is an error,
    and so is a model that is named twice.
    """
    found = [_named(workspace, dataset, name, config) for name in names]
    folders = [model.folder.resolve() for model in found]
    for name, model in zip(names, found, strict=True):
        if folders.count(model.folder.resolve()) > 1:
            raise InputError(f"-m {name}: expected each model once, found {model.folder} twice. Leave one of them out.")
        if config not in (None, model.config):
            raise InputError(
                f"-m {name}: expected configuration {config}, as --config says, found {model.config}. Leave --config "
                "out."
            )
    return found


def _named(workspace: Workspace, dataset: str | None, name: str, config: str | None) -> TrainedModel:
    model, _, own_config = name.rpartition("_")
    if name in MODELS:
        return find_model(workspace, dataset, name, config)
    if model in MODELS:
        return find_model(workspace, dataset, model, own_config)
    if Path(name).expanduser().is_dir() or len(Path(name).parts) > 1:
        return _model_at(Path(name).expanduser())
    return find_model(workspace, dataset, name, config)  # says what there is


def _model_at(folder: Path) -> TrainedModel:
    model, _, config = folder.resolve().name.rpartition("_")
    if model not in MODELS or not (folder / "plans.json").is_file():
        raise InputError(
            f"-m {folder}: expected the folder of a trained model, named such as mednca_2d and with its plans.json, "
            f"found {'no plans.json in it' if model in MODELS else 'another name'}. Give results/DATASET/MODEL_CONFIG."
        )
    return TrainedModel(read_plans(folder / "plans.json").dataset, model, config, folder, trained_folds(folder))


def choose_folds(model_folder: Path, folds: list[Fold] | tuple[Fold, ...] | None) -> tuple[Fold, ...]:
    """The folds to predict with: those given, else every finished numbered fold, else the fold "all".

    Raises InputError when a fold that was asked for, or any fold at all, has no final weights.
    """
    finished = trained_folds(model_folder)
    if folds is None:
        chosen = tuple(fold for fold in finished if fold != "all") or finished
    else:
        chosen = tuple(dict.fromkeys(fold_name(fold) for fold in folds))
    missing = [str(fold) for fold in chosen if fold not in finished]
    if missing or not chosen:
        raise InputError(
            f"{model_folder}: expected final weights (fold_k/{WEIGHTS}) of fold {', '.join(missing) or '0'}, "
            f"found {', '.join(map(str, finished)) or 'no finished fold'}. Train it, or choose others with --folds."
        )
    return chosen


def check_fold(model_folder: Path, fold: Fold, plans: Plans, model: str, config: str) -> None:
    """Raises InputError when a fold was trained with other plans than the model folder's."""
    run_file = Path(model_folder) / f"fold_{fold}" / "run.json"
    found = read_json(run_file).get("digest")
    expected = plans.digest(config, model)
    if found != expected:
        raise InputError(
            f"{run_file}: expected a fold trained with the plans of {model_folder} (digest {expected}), "
            f"found digest {found}. Folds of different plans are never mixed: train this fold again with --force, "
            "or leave it out with --folds."
        )


def _only_trained_dataset(workspace: Workspace) -> str:
    trained = [name for name in workspace.datasets() if trained_models(workspace, name)]
    if len(trained) == 1:
        return trained[0]
    found = ", ".join(trained) or "none"
    raise InputError(
        f"Expected one trained dataset in {workspace.root / 'results'}, found {found}. "
        + ("Choose one with -d." if trained else "Train one with mednca_train, or name the workspace with --root.")
    )


def _listing(models: list[TrainedModel]) -> str:
    return ", ".join(f"{found.model} ({found.config})" for found in models) or "no trained model"
