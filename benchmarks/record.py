"""Copies the finished folds of a workspace into results/, without predictions, and writes results/README.md.

    python -m benchmarks.record --root WORKSPACE [--note "..."]

Keeps of each fold: its run, summary and curve, and weights up to 1 MB; of each model: which it is, its plans and what
was learned from its folds; of each dataset: comparison.*. They lie in results/<dataset>/recorded/,
so that mednca_train in a clone does not take them for finished folds.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path

from mednca_pipeline.plans.plans import describe_components
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_folder import ModelFolder, model_folders
from mednca_pipeline.runtime.files import write_text
from mednca_pipeline.workspace import Workspace

RESULTS = Path(__file__).parents[1] / "results"
MOST_WEIGHTS_BYTES = 1 << 20
HEAD = """\
# Recorded results

Folds trained and validated by the commands shown: `final` weights, 10 runs averaged. A budget covers the training loop
alone and is turned into iterations at its start. {note}

Each folder `<dataset>/recorded/<model>_<config>/fold_<k>` has the run's command, commit, seed, device, versions, curve
and per-case metrics. They lie in `recorded/`, so that `mednca_train` in a clone does not take them for finished folds.
Written by `python -m benchmarks.record`.

Longer trainings of fold 0, NCA against UNet: [recipe/finals.md](recipe/finals.md). Speed and memory:
[benchmarks](benchmarks).

Cases are measured as `mednca_predict` writes them with the fold's plan. Where it does not keep all components, the row
says what it keeps and the raw Dice.

"All background" is what a model that predicts nothing would score (an empty answer to an empty reference has Dice 1).

| dataset | model | command | threads | parameters | iterations | minutes | Dice | HD95 | all background | commit |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="workspace that the folds were trained in")
    parser.add_argument("--note", default="", help="a sentence on the machine, for the page")
    arguments = parser.parse_args()
    workspace = Workspace(Path(arguments.root).resolve())
    for dataset in workspace.datasets():
        for model in model_folders(workspace.results_folder(dataset)):
            if any(fold.is_validated() for fold in model.folds()):
                target = ModelFolder(RESULTS / dataset / "recorded" / model.path.name)
                record_model(model, target, workspace.root)
        for file in workspace.results_folder(dataset).glob("comparison*"):
            copy(file, RESULTS / dataset / "recorded", workspace.root)
    models = [model for folder in sorted(RESULTS.glob("*/recorded")) for model in model_folders(folder)]
    rows = [row(model, fold) for model in models for fold in model.folds()]
    write_text(RESULTS / "README.md", HEAD.format(note=arguments.note) + "".join(rows))


def copy(file: Path, folder: Path, root: Path) -> None:
    """Copies a file; in texts the workspace's path, which is nobody's business, becomes WORKSPACE."""
    if file.suffix in (".json", ".md"):
        write_text(folder / file.name, file.read_text(encoding="utf-8").replace(str(root), "WORKSPACE"))
    else:
        shutil.copy(file, folder)


def record_model(source: ModelFolder, target: ModelFolder, root: Path) -> None:
    shutil.rmtree(target.path, ignore_errors=True)
    target.path.mkdir(parents=True)
    for file in (source.record_file, source.plans_file, source.quality_file, source.postprocessing_file):
        if file.exists():
            copy(file, target.path, root)
    for fold in source.folds():
        if fold.is_validated():
            kept = target.fold(fold.name).path
            kept.mkdir()
            for file in (fold.run_file, fold.summary_file, fold.curve, fold.picture):
                copy(file, kept, root)
            if fold.weights.stat().st_size <= MOST_WEIGHTS_BYTES:
                shutil.copy(fold.weights, kept)


def row(model: ModelFolder, fold: FoldFolder) -> str:
    run, summary = fold.run(), fold.summary()
    kept = describe_components(summary.components or {})
    unit = summary.units.distance
    empty = [case.classes["foreground"]["volume_reference"] == 0 for case in summary.cases.values()]
    raw = f" (keeps {kept}; raw: {dice_cell(summary.raw_means)})" if kept else ""
    cells = [
        *(run.dataset, f"{model.path.name} {fold.path.name}", f"`{run.command}`", run.threads),
        *(f"{run.parameters:,}", f"{run.iterations:,}", f"{run.training_minutes:.1f}"),
        *(dice_cell(summary.mean) + raw, f"{summary.mean['foreground']['hd95']:.2f} {unit}"),
        *(f"{sum(empty) / len(empty):.3f}", run.commit or "not recorded"),
    ]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def dice_cell(means: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {values['dice']:.4f}" for name, values in means.items())


if __name__ == "__main__":
    main()
