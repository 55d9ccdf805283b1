"""The commands as functions: plan, train, crossvalidate, predict, evaluate.

`from mednca_pipeline import plan, train, ...`. Each does what its command does, in the workspace at `root` (by default
$MEDNCA_ROOT or the current directory), and prints nothing. Each raises `InputError` for what the caller can correct.
Calls with `workers` belong under `if __name__ == "__main__":`, because worker processes are spawned.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .runtime.errors import InputError

if TYPE_CHECKING:
    from .crossval.run import CrossvalResult
    from .inference.batch import Predicted
    from .plans.plans import Plans
    from .results.summary import Summary
    from .training.method import Method

__all__ = ["crossvalidate", "evaluate", "plan", "predict", "train"]


def plan(dataset: str | int, root: Path | str | None = None, *, workers: int = 0, **options: Any) -> "Plans":
    """Checks, plans and preprocesses a dataset, as mednca_plan_and_preprocess does, and returns its plans.

    dataset: such as 4 or "Dataset004_Hippocampus". workers: processes; 0 is this one. options: fields of
    planning.run.PlanOptions, such as memory_bytes=2_000_000_000 or configs=("2d",). What is finished is kept, unless
    force=True. Raises InputError naming the first fatal finding of the dataset's check.
    """
    from .datasets.dataset import load_dataset
    from .execution.executors import open_executor
    from .planning.run import PlanOptions, plan_dataset
    from .preprocessing.run import Target, preprocess_dataset
    from .workspace import open_workspace

    workspace, chosen = open_workspace(root), PlanOptions(**options)
    raw = load_dataset(workspace.raw_folder(workspace.resolve(dataset)))
    with open_executor(workers) as executor:
        planned = plan_dataset(workspace, raw, chosen, executor)
        if planned.plans is None:
            assert planned.report  # with something fatal in it
            fatal = planned.report.fatal[0]
            raise InputError(f"{raw.name}: {fatal.file}", fatal.expected, fatal.found, fatal.remedy)
        for config in planned.configs:
            target = Target.planned(planned.plans, config, workspace.preprocessed_folder(raw.name, config))
            preprocess_dataset(raw, target, executor, force=chosen.force)
    return planned.plans


def train(
    dataset: str | int, fold: str | int, root: Path | str | None = None, method: "Method | None" = None, **options: Any
) -> Path:
    """Trains and validates one fold, as mednca_train does, and returns its folder.

    fold: 0, "fold0" or "all". method: another network, augmentation, optimiser or loss (training.method). options:
    fields of training.options.TrainingOptions, such as model="unet_small", iterations=2000, budget_s=900.0, seed=1,
    resume=True. Raises InputError for a fold, model or configuration that is not there, and KeyboardInterrupt when
    stopped, after the checkpoint is written.
    """
    from .results.fold_folder import fold_name
    from .training.fold import train_fold
    from .training.method import DEFAULT
    from .training.options import TrainingOptions
    from .workspace import open_workspace

    asked = {"command": "mednca_pipeline.train", **options}
    folder = train_fold(
        open_workspace(root), TrainingOptions(str(dataset), fold_name(fold), **asked), method=method or DEFAULT
    )
    return folder.path


def crossvalidate(dataset: str | int, root: Path | str | None = None, **options: Any) -> "CrossvalResult":
    """Trains what is missing of folds and models and writes the comparison, as mednca_crossval does.

    options: fields of crossval.options.CrossvalOptions, such as models=("mednca", "unet"), folds=(0, 1),
    budget="15min", jobs=2, ensemble=True. The result's `models` have every case's metrics, `files` are the tables, and
    `failed` names what could not be trained.
    """
    from .crossval.options import CrossvalOptions
    from .crossval.run import crossvalidate
    from .workspace import open_workspace

    asked = {"command": "mednca_pipeline.crossvalidate", "quiet": True, **options}
    return crossvalidate(open_workspace(root), CrossvalOptions(str(dataset), **asked))


def predict(
    images: Path | str,
    out: Path | str,
    models: Sequence[Path | str],
    *,
    workers: int = 0,
    overwrite: bool = False,
    **settings: Any,
) -> "Predicted":
    """Segments image files into the folder `out`, with quality.csv, as mednca_predict does.

    images: a folder of images or DICOM series, or one file. models: folders such as
    results/Dataset004_Hippocampus/mednca_2d, or bundles; several are averaged. settings: fields of PredictionOptions
    and of inference.batch.Settings, such as folds=(0,), quality=False, runs=10. The result's `failures` has the error
    of each input that could not be predicted; the others are done. For arrays in memory, use `Predictor`.
    """
    from .execution.executors import open_executor
    from .inference.batch import Settings, predict_inputs
    from .inference.inputs import find_inputs
    from .inference.output_folder import check_output_folder
    from .inference.trained_model import open_model

    folders = tuple(Path(model).expanduser().absolute() for model in models)
    if not folders:
        raise InputError("models", "at least one model's folder", "none")
    source, target = Path(images).expanduser().absolute(), Path(out).expanduser().absolute()
    channels = open_model(folders[0]).plans.channel_names
    cases, _ = find_inputs(source, len(channels), [])
    check_output_folder(source, cases, target)
    with open_executor(workers) as executor:
        return predict_inputs(Settings(model_folders=folders, **settings), cases, target, executor, overwrite)


def evaluate(
    predictions: Path | str,
    references: Path | str,
    *,
    spacing_known: bool | None = None,
    tolerance: float | None = None,
    workers: int = 0,
) -> "Summary":
    """Measures label files against those of the same name, as mednca_evaluate does without -d.

    spacing_known: whether distances are in mm, else in voxels; None: whether the files' format stores a spacing.
    tolerance: of NSD, in that unit. Labels are named after their values. The summary has each case's Dice, HD95, NSD
    and volumes, their means, and what had no partner.
    """
    from .evaluation.metrics import Units
    from .evaluation.summary import evaluate_folder, found_labels, have_spacing
    from .execution.executors import open_executor

    predicted, true = Path(predictions).expanduser().absolute(), Path(references).expanduser().absolute()
    known = have_spacing(true) if spacing_known is None else spacing_known
    with open_executor(workers) as executor:
        return evaluate_folder(predicted, true, found_labels(predicted, true), Units(known, tolerance), executor)
