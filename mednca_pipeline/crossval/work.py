"""What a cross-validation has to do, found and checked before torch is imported and anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..datasets.dataset import load_dataset
from ..fingerprint.leakage import workspace_splits
from ..models.registry import read_plans
from ..plans.plans import Plans
from ..plans.splits import Fold
from ..runtime.errors import InputError
from ..workspace import Workspace
from .jobs import FoldJob
from .missing import Missing, find_missing
from .options import CrossvalOptions


@dataclass(frozen=True)
class Work:
    """folds: those that were asked for. missing: of each model."""

    plans: Plans
    config: str
    splits: tuple[Fold, ...]
    folds: tuple[int, ...]
    missing: tuple[Missing, ...]


def find_work(workspace: Workspace, options: CrossvalOptions) -> Work:
    """Raises InputError for a fold, model or configuration that does not exist, and as find_missing does for a model
    whose finished folds do not fit what is asked: nothing is trained for a comparison that would lack it.
    """
    dataset = workspace.resolve(options.dataset)
    plans = read_plans(workspace.plans_file(dataset))
    config = plans.config(options.config).name
    models = tuple(dict.fromkeys(options.models))
    for model in models:
        plans.config(config).model(model)
    cases = [case.name for case in load_dataset(workspace.raw_folder(dataset)).training]
    splits = workspace_splits(workspace, dataset, cases)
    folds = _chosen_folds(options.folds, len(splits))
    template = _template(workspace, dataset, config, options)
    jobs = [replace(template, model=model) for model in models]
    missing = tuple(find_missing(workspace, plans, splits, job, folds) for job in jobs)
    return Work(plans, config, splits, folds, missing)


def _template(workspace: Workspace, dataset: str, config: str, options: CrossvalOptions) -> FoldJob:
    """What all jobs have in common."""
    return FoldJob(
        root=str(workspace.root.absolute()),
        dataset=dataset,
        model="",
        config=config,
        fold=0,
        iterations=options.iterations,
        seed=options.seed,
        device=options.device,
        workers=options.workers,
        share=options.jobs,
        command=options.command,
        quiet=options.quiet,
    )


def _chosen_folds(folds: Sequence[int] | None, n_folds: int) -> tuple[int, ...]:
    chosen = tuple(range(n_folds)) if folds is None else tuple(dict.fromkeys(folds))
    wrong = [fold for fold in chosen if fold not in range(n_folds)]
    if wrong:
        raise InputError("--folds", f"numbers from 0 to {n_folds - 1}", ", ".join(map(str, wrong)))
    return chosen
