"""What a training is asked to do, checked against plans, folds and records before torch is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..fingerprint.fingerprint import read_fingerprint
from ..fingerprint.leakage import workspace_splits
from ..models.registry import read_plans
from ..plans.plans import ConfigPlan, Plans
from ..plans.splits import Fold
from ..preprocessing.run import preprocessing_digest
from ..preprocessing.store import CaseStore
from ..results.model_folder import ModelFolder, ModelRecord
from ..runtime.errors import InputError
from ..workspace import Workspace
from .options import TrainingOptions


@dataclass(frozen=True)
class Request:
    """One fold whose plans, cases and records fit each other. store: the folder of its preprocessed cases."""

    options: TrainingOptions
    plans: Plans
    config: ConfigPlan
    fold: Fold
    model_folder: ModelFolder
    store: Path


def resolve(workspace: Workspace, options: TrainingOptions, mixed: bool = False) -> Request:
    """Reads plans, splits and the preprocessed cases. Raises InputError for anything missing or not fitting.

    mixed: do not ask whether folds of other plans are there, as nothing will be written beside them.
    """
    dataset = workspace.resolve(options.dataset)
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config(options.config)
    config.model(options.model)
    store = CaseStore(workspace.preprocessed_folder(dataset, config.name))
    stored = tuple(store.cases())
    if not stored:
        remedy = f"Run mednca_plan_and_preprocess -d {dataset} --config {config.name}."
        raise InputError(store.folder, f"preprocessed cases of {dataset}", "none", remedy)
    cases = _known_cases(workspace.fingerprint_file(dataset)) or stored
    splits = workspace_splits(workspace, dataset, cases) if options.fold != "all" else ()
    fold = _chosen_fold(workspace.splits_file(dataset), splits, options.fold, cases)
    store.require((*fold.train, *fold.val), preprocessing_digest(config.preprocessing, plans.labels))
    folder = ModelFolder.of(workspace.results_folder(dataset), ModelRecord(dataset, options.model, config.name))
    if not mixed:
        folder.require_same_origin(
            plans.digest(config.name, options.model),
            [each.digest for each in splits],
            besides=options.fold if options.force else None,
        )
    return Request(options, plans, config, fold, folder, store.folder)


def check_trainable(request: Request) -> None:
    """Raises InputError for an unfinished training that is neither continued nor begun again, and for nothing to
    continue.
    """
    folder, options = request.model_folder.fold(request.options.fold), request.options
    state = folder.state()
    if state in ("resumable", "running") and not (options.resume or options.force):
        remedy = "Go on with --continue, or start again with --force."
        raise InputError(folder.path, found="an unfinished training", remedy=remedy)
    if options.resume and state == "new":
        remedy = "Start the training without --continue, or check the fold, --model and --config."
        raise InputError(folder.checkpoint, "the checkpoint of a training to continue", "no such file", remedy)


def check_validatable(request: Request) -> None:
    """Raises InputError for a fold without validation cases or without weights."""
    folder = request.model_folder.fold(request.options.fold)
    if not request.fold.val:
        raise InputError(
            "--val",
            "a fold with validation cases",
            "fold 'all', which was trained on every case",
            "Choose a numbered fold.",
        )
    if not folder.has_final_weights():
        remedy = "Train this fold before validating it."
        raise InputError(folder.weights, "the weights of a trained fold", "no such file", remedy)


def _known_cases(fingerprint: Path) -> tuple[str, ...]:
    """The dataset's cases when it was planned: the store may hold others. () without a fingerprint."""
    return tuple(case.name for case in read_fingerprint(fingerprint).cases) if fingerprint.exists() else ()


def _chosen_fold(file: Path, splits: Sequence[Fold], fold: int | str, cases: tuple[str, ...]) -> Fold:
    """The cases of a fold; "all" trains on every case, which leaves none to validate on."""
    if fold == "all":
        return Fold(cases, ())
    number = int(fold)
    if not 0 <= number < len(splits):
        raise InputError(f"fold {fold}", f"one of the folds 0 to {len(splits) - 1} of {file}, or 'all'")
    return splits[number]
