"""How well candidates for the quality score tell failed segmentations from others, and what each costs.

    python -m benchmarks.quality --root WORKSPACE -d 4 12 21 20=0.5 [--cases 40] [--every-cell 8] [--folds FOLDER...]

WORKSPACE holds the raw datasets, the splits, and results/<dataset>/mednca_2d/fold_0. Images: validation cases of fold
0, spread over their list, each clean and under the artefacts of its kind of image and zoom, at severities 1, 3 and 5.
Dice is the mean of the classes in the image's own geometry, without postprocessing. A failure is a Dice below 0.8, or
below the number after the dataset's "=". Images in which nothing was segmented do not count: the product flags them
whatever their score is.

AUROC: the chance that a failure has a worse score than another image; only with ten failures and ten others. rho:
Spearman's rank correlation of -score and Dice. Cost: processor seconds on one thread that a score adds to those of the
prediction without one, over the latter, from an image in memory to its label map; medians over clean cases.

--every-cell N: N of the cases also get six random runs that compute every cell, the default of earlier versions.
--folds FOLDER: models of several folds that never saw fold 0's validation cases (quality_folds.py); their mean is
judged, and the scores are the folds' disagreement.
Writes results/benchmarks/quality.md and .csv after each dataset; --images FILE: every image's scores as well.
"""

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from benchmarks.quality_models import EVERY, MANY, ONE, PRESENT, Folds, Single, as_scan
from benchmarks.recipe.robustness import SEVERITIES, class_dice
from benchmarks.recipe.robustness import spread as chosen_evenly
from mednca_pipeline.cli.common import keep_freed_memory, wait_briefly
from mednca_pipeline.datasets.dataset import Case, load_dataset
from mednca_pipeline.evaluation.artefacts import ARTEFACTS, ZOOM, artefact_rng, distorted
from mednca_pipeline.evaluation.provenance import provenance
from mednca_pipeline.planning.augmentation import artefact_kinds
from mednca_pipeline.planning.splits import read_splits
from mednca_pipeline.workspace import Workspace
from mednca_runtime.files import write_text
from mednca_runtime.images import read_image, read_labels

OUT = Path(__file__).parents[1] / "results" / "benchmarks"
CLEAN, POOR_DICE, LEAST, TIMED = "clean", 0.8, 10, 3
KINDS = (CLEAN, *ARTEFACTS, ZOOM)


@dataclass(frozen=True)
class Scored:
    """One image. dice: NaN where nothing was segmented."""

    case: str
    artefact: str
    severity: int
    dice: float
    scores: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("-d", nargs="+", required=True, metavar="DATASET[=DICE]")
    parser.add_argument("--cases", type=int, default=40, help="at most, of each dataset (default: 40)")
    parser.add_argument("--every-cell", type=int, default=0, metavar="N")
    parser.add_argument("--folds", nargs="*", default=[], type=Path, metavar="FOLDER")
    parser.add_argument("--images", type=Path, metavar="FILE", help="CSV file of every image's scores")
    arguments = parser.parse_args()
    wait_briefly()
    keep_freed_memory()
    workspace, rows, images = Workspace(arguments.root.resolve()), [], []
    for asked in arguments.d:
        number, _, below = asked.partition("=")
        dataset, poor = workspace.resolve(number), float(below or POOR_DICE)
        judges: dict[str, Single | Folds] = {dataset: Single(workspace.results_folder(dataset) / "mednca_2d")}
        for folder in arguments.folds:
            folds = Folds(folder)
            if folds.predictor.plans.dataset == dataset:
                judges[f"{dataset}, mean of {len(folds.predictor.networks)} folds"] = folds
        for name, judge in judges.items():
            cases = validation_cases(workspace, dataset, arguments.cases)
            costs = measured_costs(judge, cases, bool(arguments.every_cell))
            found = measure(judge, cases, arguments.every_cell)
            rows += dataset_rows(name, found, poor, costs)
            images += [{"of": name, **flat(image)} for image in found]
            write(rows, arguments.images, images)


def validation_cases(workspace: Workspace, dataset: str, count: int) -> list[Case]:
    raw = {case.name: case for case in load_dataset(workspace.raw_folder(dataset)).training}
    fold = read_splits(workspace.splits_file(dataset), list(raw))[0]
    return [raw[name] for name in chosen_evenly(fold.val, count)]


def measure(judge: Single | Folds, cases: Sequence[Case], every_cell: int) -> list[Scored]:
    """every_cell: in how many of the cases to compute every cell as well."""
    plans, found = judge.predictor.plans, []
    also = chosen_evenly([case.name for case in cases], every_cell)
    names = (*artefact_kinds(plans.channel_names).value, ZOOM)
    for case in cases:
        image, reference = read_image(case.images), read_labels(case.label).array[0]
        for name, severity in [(CLEAN, 0), *((name, severity) for name in names for severity in SEVERITIES)]:
            given = image.array, image.spacing_mm
            if name != CLEAN:
                given = distorted(name, severity, *given, artefact_rng(case.name, name))
            predicted, scores = judge.judge(as_scan(judge, *given), case.name in also)
            empty = not plans.labels.foreground(predicted).any()
            dice = math.nan if empty else class_dice(predicted, reference, plans.labels)
            found.append(Scored(case.name, name, severity, dice, scores))
    return found


def measured_costs(judge: Single | Folds, cases: Sequence[Case], every_cell: bool) -> dict[str, float]:
    shares = []
    for case in [cases[0], *cases[:TIMED]]:  # the first time does not count
        image = read_image(case.images)
        shares.append(judge.costs(as_scan(judge, image.array, image.spacing_mm), every_cell))
    return {name: median(share[name] for share in shares[1:]) for name in shares[0]}


def dataset_rows(dataset: str, found: Sequence[Scored], poor: float, costs: dict[str, float]) -> list[dict]:
    """Rows of the table; those of every cell beside the present score on the same images."""
    shown = [image for image in found if not math.isnan(image.dice)]
    every = [image for image in shown if EVERY in image.scores]
    rows = [row(dataset, shown, name, poor, costs[name]) for name in shown[0].scores if name != EVERY]
    if every:
        title = f"{dataset}, images with every cell"
        rows += [row(title, every, name, poor, costs[name]) for name in (PRESENT, ONE, MANY, EVERY)]
    return rows


def row(dataset: str, images: Sequence[Scored], score: str, poor: float, cost: float) -> dict:
    scores, dice = np.array([image.scores[score] for image in images]), np.array([image.dice for image in images])
    kinds = np.array([image.artefact for image in images])
    clean = kinds == CLEAN
    told = {f"auroc_{kind}": auroc(scores[kinds == kind], dice[kinds == kind] < poor) for kind in KINDS}
    values = {
        "auroc": auroc(scores, dice < poor),
        "rho": rank_correlation(scores, dice),
        "rho_clean": rank_correlation(scores[clean], dice[clean]),
        "cost": cost,
    }
    head = {"dataset": dataset, "images": len(images), "poor_below": poor, "failures": int((dice < poor).sum())}
    return {**head, "score": score, **values, **told}


def flat(image: Scored) -> dict:
    head = {"case": image.case, "artefact": image.artefact, "severity": image.severity, "dice": image.dice}
    return {**head, **image.scores}


def auroc(scores: np.ndarray, poor: np.ndarray) -> float:
    """The chance that a poor image has a larger score than another. NaN for fewer than LEAST of either kind; an image
    without a score counts as the worst."""
    if min(poor.sum(), (~poor).sum()) < LEAST:
        return math.nan
    return float(roc_auc_score(poor, np.nan_to_num(scores, nan=np.finfo(np.float64).max)))


def rank_correlation(scores: np.ndarray, dice: np.ndarray) -> float:
    """Spearman's rho of -score and Dice: 1 where the score puts the images in the order of their Dice."""
    if len(scores) < LEAST:
        return math.nan
    return float(-spearmanr(np.nan_to_num(scores, nan=np.finfo(np.float64).max), dice).statistic)


def table(rows: Sequence[dict]) -> str:
    """Markdown: a table per dataset."""
    lines = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        of = [row for row in rows if row["dataset"] == dataset]
        kinds = [kind for kind in KINDS if any(not math.isnan(row[f"auroc_{kind}"]) for row in of)]
        first = of[0]
        lines += [
            f"## {dataset}",
            "",
            f"{first['images']} images, {first['failures']} with a Dice below {first['poor_below']:g}.",
            "",
            f"| score | {' | '.join(['AUROC', *kinds, 'rho', 'rho of clean images', 'cost'])} |",
            "|---" * (5 + len(kinds)) + "|",
        ]
        for row in of:
            values = [row[name] for name in ("auroc", *(f"auroc_{kind}" for kind in kinds), "rho", "rho_clean")]
            cells = ["" if math.isnan(value) else f"{value:.3f}" for value in values]
            lines.append(f"| {row['score']} | {' | '.join(cells)} | {row['cost']:.2f} |")
        lines.append("")
    return "\n".join(lines)


def write(rows: Sequence[dict], images_file: Path | None, images: Sequence[dict]) -> None:
    from .timing import command_line

    said = ", ".join(f"{key} {value}" for key, value in provenance().items())
    head = "Columns named after artefacts: AUROC within their images. How: the head of benchmarks/quality.py."
    text = f"`{command_line()}`; {said}\n\n{head}\n\n{table(rows)}"
    print(text, flush=True)
    write_text(OUT / "quality.md", text)
    write_csv(OUT / "quality.csv", rows)
    if images_file:
        write_csv(images_file, images)


def write_csv(file: Path, rows: Sequence[dict]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()})


if __name__ == "__main__":
    main()
