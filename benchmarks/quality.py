"""How well candidates for the quality score tell failed segmentations from others, and what each costs.

    python -m benchmarks.quality --root WORKSPACE -d 4 12 21 20=0.5 [--cases 40] [--every-cell 8] [--folds FOLDER...]

WORKSPACE holds the raw datasets, the splits, and results/<dataset>/mednca_2d/fold_0. Images: validation cases of fold
0, spread over their list, each clean and under the artefacts of its kind of image and zoom, at severities 1, 3 and 5.
Dice is the mean of the classes in the image's own geometry, without postprocessing. A failure is a Dice below 0.8, or
below the number after the dataset's "=". Images in which nothing was segmented do not count: the product flags them
whatever their score is.

AUROC: the chance that a failure has a worse score than another image; only with ten failures and ten others. Beside it
the difference from the present score's, with the 2.5th and 97.5th percentile over resampled cases. rho: Spearman's rank
correlation of -score and Dice. Cost: processor seconds on one thread that a score adds to those of the
prediction without one, over the latter, from an image in memory to its label map; medians over clean cases.

--every-cell N: N of the cases also get six random runs that compute every cell, the default of earlier versions.
--folds FOLDER: models of several folds that never saw fold 0's validation cases (quality_folds.py); their mean is
judged, and the scores are the folds' disagreement.
Writes results/benchmarks/quality.md and .csv after each dataset; --images FILE: every image's scores as well.
--tables: measures nothing, and writes the tables again from FILE and the costs in quality.csv, with the numbers of -d.
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
from benchmarks.scans import read_scan
from mednca_pipeline.cli.common import keep_freed_memory, wait_briefly
from mednca_pipeline.datasets.dataset import Case, load_dataset
from mednca_pipeline.evaluation.artefacts import ARTEFACTS, ZOOM, artefact_rng, distorted
from mednca_pipeline.evaluation.provenance import provenance
from mednca_pipeline.planning.augmentation import artefact_kinds
from mednca_pipeline.plans.splits import read_splits
from mednca_pipeline.runtime.files import write_text
from mednca_pipeline.workspace import Workspace

OUT = Path(__file__).parents[1] / "results" / "benchmarks"
CLEAN, POOR_DICE, LEAST, TIMED, RESAMPLES = "clean", 0.8, 10, 3, 200
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
    parser.add_argument("--tables", action="store_true")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.root.resolve())
    asked = [entry.partition("=") for entry in arguments.d]
    poor_below = {workspace.resolve(number): float(below or POOR_DICE) for number, _, below in asked}
    if arguments.tables:
        write(rows_again(arguments.images, poor_below), None, [])
    else:
        measure_all(arguments, workspace, poor_below)


def measure_all(arguments: argparse.Namespace, workspace: Workspace, poor_below: dict[str, float]) -> None:
    wait_briefly()
    keep_freed_memory()
    rows, images = [], []
    for dataset, poor in poor_below.items():
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
        scan = read_scan(case)
        for name, severity in [(CLEAN, 0), *((name, severity) for name in names for severity in SEVERITIES)]:
            given = scan.array, scan.spacing_mm
            if name != CLEAN:
                given = distorted(name, severity, *given, artefact_rng(case.name, name))
            predicted, scores = judge.judge(as_scan(judge, *given), case.name in also)
            empty = not plans.labels.foreground(predicted).any()
            dice = math.nan if empty else class_dice(predicted, scan.labels, plans.labels)
            found.append(Scored(case.name, name, severity, dice, scores))
    return found


def measured_costs(judge: Single | Folds, cases: Sequence[Case], every_cell: bool) -> dict[str, float]:
    shares = []
    for case in [cases[0], *cases[:TIMED]]:  # the first time does not count
        scan = read_scan(case)
        shares.append(judge.costs(as_scan(judge, scan.array, scan.spacing_mm), every_cell))
    return {name: median(share[name] for share in shares[1:]) for name in shares[0]}


def dataset_rows(dataset: str, found: Sequence[Scored], poor: float, costs: dict[str, float]) -> list[dict]:
    """Rows of the table; those of every cell beside the present score on the same images."""
    shown = [image for image in found if not math.isnan(image.dice)]
    every = [image for image in shown if EVERY in image.scores]
    rows = [row(dataset, shown, name, poor, costs[name]) for name in shown[0].scores if name != EVERY]
    if every:
        title = every_cell_title(dataset)
        rows += [row(title, every, name, poor, costs[name]) for name in (PRESENT, ONE, MANY, EVERY)]
    return rows


def rows_again(images_file: Path, poor_below: dict[str, float]) -> list[dict]:
    """From the file of --images, and the costs of quality.csv."""
    found: dict[str, list[Scored]] = {}
    for entry in read_csv(images_file):
        head = [entry.pop(name) for name in ("of", "case", "artefact", "severity", "dice")]
        scores = {name: float(value) for name, value in entry.items() if value}
        found.setdefault(head[0], []).append(Scored(head[1], head[2], int(head[3]), float(head[4]), scores))
    before, rows = read_csv(OUT / "quality.csv"), []
    for dataset, images in found.items():
        of = (dataset, every_cell_title(dataset))
        costs = {row["score"]: float(row["cost"]) for row in before if row["dataset"] in of}
        rows += dataset_rows(dataset, images, poor_below[dataset.partition(",")[0]], costs)
    return rows


def every_cell_title(dataset: str) -> str:
    return f"{dataset}, images with every cell"


def row(dataset: str, images: Sequence[Scored], score: str, poor: float, cost: float) -> dict:
    scores, dice = np.array([image.scores[score] for image in images]), np.array([image.dice for image in images])
    kinds, cases = np.array([image.artefact for image in images]), np.array([image.case for image in images])
    clean = kinds == CLEAN
    told = {f"auroc_{kind}": auroc(scores[kinds == kind], dice[kinds == kind] < poor) for kind in KINDS}
    gain, low, high = gain_of(scores, np.array([image.scores[PRESENT] for image in images]), dice < poor, cases)
    values = {
        "auroc": auroc(scores, dice < poor),
        "gain": gain,
        "gain_low": low,
        "gain_high": high,
        "rho": rank_correlation(scores, dice),
        "rho_clean": rank_correlation(scores[clean], dice[clean]),
        "cost": cost,
    }
    head = {"dataset": dataset, "images": len(images), "poor_below": poor, "failures": int((dice < poor).sum())}
    return {**head, "score": score, **values, **told}


def flat(image: Scored) -> dict:
    head = {"case": image.case, "artefact": image.artefact, "severity": image.severity, "dice": image.dice}
    return {**head, **image.scores}


def auroc(scores: np.ndarray, poor: np.ndarray, least: int = LEAST) -> float:
    """The chance that a poor image has a larger score than another. NaN for fewer than `least` of either kind; an image
    without a score counts as the worst."""
    if min(poor.sum(), (~poor).sum()) < least:
        return math.nan
    return float(roc_auc_score(poor, np.nan_to_num(scores, nan=np.finfo(np.float64).max)))


def gain_of(scores: np.ndarray, present: np.ndarray, poor: np.ndarray, cases: np.ndarray) -> tuple[float, float, float]:
    """AUROC of `scores` less that of `present`, and percentiles 2.5 and 97.5 over RESAMPLES resamples of the cases."""
    if math.isnan(auroc(scores, poor)):
        return math.nan, math.nan, math.nan
    rng, images_of = np.random.default_rng(0), [np.flatnonzero(cases == case) for case in np.unique(cases)]
    gains = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([images_of[index] for index in rng.integers(len(images_of), size=len(images_of))])
        both = (auroc(values[chosen], poor[chosen], least=1) for values in (scores, present))
        gains.append(np.subtract(*both))
    return auroc(scores, poor) - auroc(present, poor), *(float(np.nanpercentile(gains, q)) for q in (2.5, 97.5))


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
            f"| score | {' | '.join(['AUROC', 'less the present', *kinds, 'rho', 'rho, clean', 'cost'])} |",
            "|---" * (6 + len(kinds)) + "|",
        ]
        for row in of:
            values = [row[name] for name in ("auroc", *(f"auroc_{kind}" for kind in kinds), "rho", "rho_clean")]
            cells = ["" if math.isnan(value) else f"{value:.3f}" for value in values]
            gain = f"{row['gain']:+.3f} ({row['gain_low']:+.3f} to {row['gain_high']:+.3f})"
            cells.insert(1, "" if math.isnan(row["gain"]) else gain)
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


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_csv(file: Path, rows: Sequence[dict]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: float(f"{v:.5g}") if isinstance(v, float) else v for name, v in row.items()})


if __name__ == "__main__":
    main()
