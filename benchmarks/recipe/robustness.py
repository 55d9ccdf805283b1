"""Dice of a trained fold on clean images and under artefacts of severity 1, 3 and 5, as a table.

    python -m benchmarks.recipe.robustness --root WORKSPACE --fold WORKSPACE/results/Dataset/mednca_2d/fold_0 --cases 20
    python -m benchmarks.recipe.robustness --root WORKSPACE --fold results/recipe/finals/NAME --cases 20

The second form takes recorded weights, whose plan must be the reference plan. Cases are validation cases of the fold,
spread over their list. The artefacts are those that images of the dataset's kind have, and zoom. Dice is the mean of
the classes, in the images' own geometry, without postprocessing. Appends a row per artefact to results/recipe/
robustness.csv with --record.
"""

import argparse
import csv
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.scans import read_scan
from mednca_pipeline.datasets.dataset import Case, load_dataset
from mednca_pipeline.evaluation.artefacts import ZOOM, artefact_rng, distorted
from mednca_pipeline.evaluation.metrics import dice_by_policy
from mednca_pipeline.evaluation.provenance import commit
from mednca_pipeline.execution.libraries import wait_briefly
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.planning.augmentation import artefact_kinds
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.results.fold_folder import FoldFolder
from mednca_pipeline.results.model_folder import ModelFolder, ModelRecord
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
OUT = ROOT / "results" / "recipe" / "robustness.csv"
SEVERITIES = (1, 3, 5)
COLUMNS = "commit,dataset,model,config,plan,weights,cases,artefact,severity_1,severity_3,severity_5".split(",")


@dataclass(frozen=True)
class Robustness:
    """Mean Dice of classes over the cases, clean and under each artefact: {name: {severity: Dice}}."""

    cases: int
    clean: float
    artefacts: dict[str, dict[int, float]]

    @property
    def robust(self) -> float:
        """The mean over all artefacts and severities."""
        return mean(value for row in self.artefacts.values() for value in row.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="workspace with the raw dataset and its splits")
    parser.add_argument("--fold", required=True, type=Path, help="folder of a fold, or of recorded weights")
    parser.add_argument("--cases", type=int, default=20, help="validation cases (default: 20)")
    parser.add_argument("--record", action="store_true", help=f"append to {OUT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    wait_briefly()
    run = FoldFolder(arguments.fold).run()
    workspace = Workspace(Path(arguments.root).resolve())
    raw = {case.name: case for case in load_dataset(workspace.raw_folder(run.dataset)).training}
    fold = read_splits(workspace.splits_file(run.dataset), list(raw))[int(run.fold)]
    with tempfile.TemporaryDirectory() as scratch:
        predictor = load(arguments.fold, Path(scratch))
    found = measure(predictor, [raw[name] for name in spread(fold.val, arguments.cases)])
    print(table(found))
    if arguments.record:
        weights = "/".join(arguments.fold.resolve().parts[-3:])
        append(found, {"commit": commit(), "plan": run.digest, "weights": weights, **asdict(run)})


def load(fold: Path, scratch: Path) -> Predictor:
    """The predictor of one fold, from a model's folder or from recorded weights, which lie without their plans."""
    if ModelFolder(fold.parent).plans_file.exists():
        return Predictor.from_folder(
            fold.parent, [fold.name.removeprefix("fold_")], PredictionOptions(quality=False, postprocess=False)
        )
    run = FoldFolder(fold).run()
    folder = ModelFolder.of(scratch, ModelRecord(run.dataset, run.model, run.config))
    shutil.copytree(fold, folder.fold(0).path)
    shutil.copy(Workspace(ROOT).plans_file(run.dataset), folder.plans_file)
    return Predictor.from_folder(folder.path, [0], PredictionOptions(quality=False, postprocess=False))


def spread(names: Sequence[str], count: int) -> list[str]:
    """`count` of the names at even distances: sorted names often hold one kind of case after the other."""
    chosen = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[index] for index in chosen]


def measure(predictor: Predictor, cases: Sequence[Case], severities: Sequence[int] = SEVERITIES) -> Robustness:
    """Predicts each case clean and under every artefact of its kind of image."""
    labels = predictor.plans.labels
    names = (*artefact_kinds(predictor.plans.channel_names).value, ZOOM)
    clean, found = [], {name: {severity: [] for severity in severities} for name in names}
    for case in cases:
        scan = read_scan(case)
        clean.append(class_dice(predictor.predict(scan.array, scan.spacing_mm).labels, scan.labels, labels))
        for name in names:
            for severity in severities:
                given = distorted(name, severity, scan.array, scan.spacing_mm, artefact_rng(case.name, name))
                found[name][severity].append(class_dice(predictor.predict(*given).labels, scan.labels, labels))
    rows = {name: {severity: mean(values) for severity, values in row.items()} for name, row in found.items()}
    return Robustness(len(cases), mean(clean), rows)


def class_dice(predicted: np.ndarray, reference: np.ndarray, labels: Labels) -> float:
    """Mean Dice of the classes of one case; ignored voxels count as background."""
    if labels.ignore is not None:
        ignored = reference == labels.ignore
        predicted, reference = np.where(ignored, 0, predicted), np.where(ignored, 0, reference)
    pairs = zip(labels.masks(predicted), labels.masks(reference), strict=True)
    return mean(dice_by_policy(mask, true) for (_, mask), (_, true) in pairs)


def table(found: Robustness) -> str:
    severities = list(next(iter(found.artefacts.values())))
    lines = [
        f"{found.cases} cases, Dice clean {found.clean:.4f}, mean under artefacts {found.robust:.4f}",
        "",
        f"| artefact | {' | '.join(f'severity {severity}' for severity in severities)} |",
        "|---" * (1 + len(severities)) + "|",
    ]
    for name, row in found.artefacts.items():
        lines.append(f"| {name} | {' | '.join(f'{value:.4f}' for value in row.values())} |")
    return "\n".join(lines)


def append(found: Robustness, origin: dict) -> None:
    """origin: values of the columns that say what was measured; further entries are left out."""
    new = not OUT.exists()
    with OUT.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
        if new:
            writer.writeheader()
        for name, row in {"clean": dict.fromkeys(SEVERITIES, found.clean), **found.artefacts}.items():
            dices = {f"severity_{severity}": round(value, 4) for severity, value in row.items()}
            writer.writerow({**origin, "cases": found.cases, "artefact": name, **dices})


if __name__ == "__main__":
    main()
