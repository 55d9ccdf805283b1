"""One fold to train, resolved: plan, cases, batches and device, known and checked before the first iteration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..device import choose_device
from ..execution.processes import augmenting_workers, cores
from ..fingerprint.fingerprint import read_fingerprint
from ..fingerprint.leakage import workspace_splits
from ..models.registry import read_plans
from ..plans.model_plans import ModelPlan, TrainingPlan
from ..plans.plans import ConfigPlan, Plans
from ..plans.splits import Fold
from ..preprocessing.run import preprocessing_digest
from ..preprocessing.store import CaseStore
from ..results.fold_folder import FoldFolder, Origin
from ..results.model_folder import ModelFolder, ModelRecord
from ..runtime.errors import InputError
from ..runtime.preprocessing import PreprocessingPlan
from ..workspace import Workspace
from .artefacts import ArtefactRecipe
from .batches import BatchRecipe
from .method import DEFAULT, Method
from .options import TrainingOptions


@dataclass(frozen=True)
class Job:
    """One fold to train, resolved: everything known before the first iteration."""

    options: TrainingOptions
    plans: Plans
    config: ConfigPlan
    model_folder: ModelFolder
    recipe: BatchRecipe
    fold: Fold
    device: torch.device
    method: Method = DEFAULT

    @property
    def plan(self) -> ModelPlan:
        return self.config.model(self.options.model)

    @property
    def workers(self) -> int:
        """Processes that augment."""
        asked = self.options.workers
        return augmenting_workers(cores(), self.device.type) if asked is None else asked

    @property
    def record(self) -> ModelRecord:
        return ModelRecord(self.plans.dataset, self.options.model, self.config.name)

    @property
    def folder(self) -> FoldFolder:
        return self.model_folder.fold(self.options.fold)

    @property
    def origin(self) -> Origin:
        return Origin(self.plans.digest(self.config.name, self.options.model), self.fold.digest)

    @property
    def identity(self) -> str:
        """Of a checkpoint: the plans and cases that it belongs to."""
        return f"{self.origin.digest} {self.origin.split}"

    @property
    def title(self) -> str:
        return f"{self.plans.dataset} {self.record.name} fold {self.options.fold}"


def prepare(workspace: Workspace, options: TrainingOptions, method: Method = DEFAULT, mixed: bool = False) -> Job:
    """Reads plans, splits and the preprocessed cases. Raises InputError for anything missing or not fitting.

    mixed: do not ask whether folds of other plans are there, as nothing will be written beside them.
    """
    dataset = workspace.resolve(options.dataset)
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config(options.config)
    plan = config.model(options.model)
    store = CaseStore(workspace.preprocessed_folder(dataset, config.name))
    stored = tuple(store.cases())
    if not stored:
        remedy = f"Run mednca_plan_and_preprocess -d {dataset} --config {config.name}."
        raise InputError(store.folder, f"preprocessed cases of {dataset}", "none", remedy)
    cases = _known_cases(workspace.fingerprint_file(dataset)) or stored
    splits = workspace_splits(workspace, dataset, cases) if options.fold != "all" else ()
    fold = _chosen_fold(workspace.splits_file(dataset), splits, options.fold, cases)
    store.require((*fold.train, *fold.val), preprocessing_digest(config.preprocessing, plans.labels))
    record = ModelRecord(dataset, options.model, config.name)
    folder = ModelFolder.of(workspace.results_folder(dataset), record)
    if not mixed:
        folder.require_same_origin(
            plans.digest(config.name, options.model),
            [each.digest for each in splits],
            besides=options.fold if options.force else None,
        )
    recipe = batch_recipe(store.folder, plans, config, plan, fold.train, options)
    recipe = replace(recipe, transforms=method.transforms)
    return Job(options, plans, config, folder, recipe, fold, choose_device(options.device), method)


def batch_recipe(
    store: Path, plans: Plans, config: ConfigPlan, plan: ModelPlan, cases: tuple[str, ...], options: TrainingOptions
) -> BatchRecipe:
    """The batches of a model: whole images, with the place of the finest patch."""
    patch, factor = plan.window(config.image_size)
    image_size = tuple(map(max, config.image_size, patch))  # a UNet's patch is rounded up to its strides
    return BatchRecipe(
        store=store,
        cases=cases,
        labels=plans.labels,
        dim=config.dim,
        image_size=image_size,
        patch=patch,
        factor=factor,
        batch_size=plan.training.batch_size,
        foreground_share=plan.training.foreground_share,
        seed=options.seed,
        fold=options.fold,
        augmentation=plan.training.augmentation,
        mirror_axes=plan.training.mirror_axes,
        artefacts=_artefacts(config.preprocessing, plan.training),
        adjacent_slices=plan.adjacent_slices,
        position=plan.position,
    )


def _artefacts(preprocessing: PreprocessingPlan, training: TrainingPlan) -> ArtefactRecipe | None:
    if not training.artefacts:
        return None
    spacing_mm = tuple(step or math.inf for step in preprocessing.spacing_mm)  # None across the slices of a 2D network
    standardised = set(preprocessing.normalisation) == {"zscore"}
    return ArtefactRecipe(training.artefacts, training.artefact_kinds, spacing_mm, standardised)


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
