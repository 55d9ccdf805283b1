"""Copies the finished folds of a workspace into results/, without predictions, and writes results/README.md.

    python -m benchmarks.record --root WORKSPACE [--note "..."]

Keeps of each fold: run.json, summary.json, training.csv, progress.png, and final.safetensors up to 1 MB; of each model:
plans.json and what was learned from its folds; of each dataset: comparison.*. They lie in results/<dataset>/recorded/,
so that mednca_train in a clone does not take them for finished folds.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path

from mednca_pipeline.evaluation.results import is_finished
from mednca_pipeline.evaluation.summary import raw_means
from mednca_pipeline.plans.plans import describe_components
from mednca_pipeline.runtime.files import read_json, write_text
from mednca_pipeline.workspace import Workspace

RESULTS = Path(__file__).parents[1] / "results"
OF_FOLD = ("run.json", "summary.json", "training.csv", "progress.png")
OF_MODEL = ("plans.json", "quality.json", "postprocessing.json")
MOST_WEIGHTS_BYTES = 1 << 20
HEAD = """\
# Recorded results

Folds trained and validated by the commands shown: `final` weights, 10 runs averaged. A budget covers the training loop
alone and is turned into iterations at its start. {note}

Each folder `<dataset>/recorded/<model>_<config>/fold_<k>` has the run's command, commit, seed, device, versions, curve
and per-case metrics. They lie in `recorded/`, so that `mednca_train` in a clone does not take them for finished folds.
Written by `python -m benchmarks.record`.

Longer trainings of fold 0, automaton against UNet: [recipe/finals.md](recipe/finals.md). Speed and memory:
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
        for folder in sorted(workspace.results_folder(dataset).glob("*_*/")):
            if any(is_finished(fold) for fold in folder.glob("fold_*")):
                record_model(folder, RESULTS / dataset / "recorded" / folder.name, workspace.root)
        for file in workspace.results_folder(dataset).glob("comparison*"):
            copy(file, RESULTS / dataset / "recorded", workspace.root)
    rows = [row(path.parent) for path in sorted(RESULTS.glob("*/recorded/*/fold_*/run.json"))]
    write_text(RESULTS / "README.md", HEAD.format(note=arguments.note) + "".join(rows))


def copy(file: Path, folder: Path, root: Path) -> None:
    """Copies a file; in texts the workspace's path, which is nobody's business, becomes WORKSPACE."""
    if file.suffix in (".json", ".md"):
        write_text(folder / file.name, file.read_text(encoding="utf-8").replace(str(root), "WORKSPACE"))
    else:
        shutil.copy(file, folder)


def record_model(source: Path, target: Path, root: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in (source / name for name in OF_MODEL):
        if file.exists():
            copy(file, target, root)
    for fold in sorted(source.glob("fold_*")):
        if is_finished(fold):
            (target / fold.name).mkdir()
            for name in OF_FOLD:
                copy(fold / name, target / fold.name, root)
            weights = fold / "final.safetensors"
            if weights.stat().st_size <= MOST_WEIGHTS_BYTES:
                shutil.copy(weights, target / fold.name)


def row(fold: Path) -> str:
    run, summary = read_json(fold / "run.json"), read_json(fold / "summary.json")
    kept = describe_components(summary.get("components", {}))
    unit = summary["units"]["distance"]
    empty = [case["classes"]["foreground"]["volume_reference"] == 0 for case in summary["cases"].values()]
    raw = f" (keeps {kept}; raw: {dice_cell(raw_means(summary))})" if kept else ""
    cells = [
        *(run["dataset"], f"{fold.parent.name} {fold.name}", f"`{run['command']}`", run["threads"]),
        *(f"{run['parameters']:,}", f"{run['iterations']:,}", f"{run['training_minutes']:.1f}"),
        *(dice_cell(summary["mean"]) + raw, f"{summary['mean']['foreground']['hd95']:.2f} {unit}"),
        *(f"{sum(empty) / len(empty):.3f}", run.get("commit", "not recorded")),
    ]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def dice_cell(means: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {values['dice']:.4f}" for name, values in means.items())


if __name__ == "__main__":
    main()
