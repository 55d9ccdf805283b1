"""One fold to train, resolved: plan, cases, batches and device, known and checked before the first iteration."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..device import choose_device
from ..execution.processes import augmenting_workers, cores
from ..plans.model_plans import ModelPlan, TrainingPlan
from ..plans.plans import ConfigPlan, Plans
from ..plans.splits import Fold
from ..results.fold_folder import FoldFolder, Origin
from ..results.model_folder import ModelFolder, ModelRecord
from ..runtime.preprocessing import PreprocessingPlan
from ..workspace import Workspace
from .artefacts import ArtefactRecipe
from .batches import BatchRecipe
from .method import DEFAULT, Method
from .options import TrainingOptions
from .request import Request, resolve


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
    def request(self) -> Request:
        return Request(self.options, self.plans, self.config, self.fold, self.model_folder, self.recipe.store)

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
    """As `resolve`, with the batches and the device. Raises InputError for a device that this machine lacks."""
    asked = resolve(workspace, options, mixed)
    plan = asked.config.model(options.model)
    recipe = batch_recipe(asked.store, asked.plans, asked.config, plan, asked.fold.train, options)
    recipe = replace(recipe, transforms=method.transforms)
    device = choose_device(options.device)
    return Job(options, asked.plans, asked.config, asked.model_folder, recipe, asked.fold, device, method)


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
