"""Whether one network that has seen all three views of a volume is worth three networks, one per view.

    python -m benchmarks.recipe.views --root WORKSPACE --work FOLDER -d 4 --iterations 2500 --seeds 0 1
    python -m benchmarks.recipe.views      the table again, of the rows that are there

Training and held-out cases are those of screens (screen.py): both lie inside fold 0's training cases. Every network has
as many iterations. The batches of one that sees three views are of the axial, the coronal and the sagittal view in
turn; its position channels are in the order of the image's axes whatever the view, and three more channels tell the
view. Predictions are by the expected update at the outline, averaged as probabilities, with the components that the
plan keeps. FOLDER holds a store per view and the trained networks, which are not trained again. Writes views.csv and
views.md of results/recipe.
"""

import argparse
import csv
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mednca_pipeline.evaluation.component_removal import apply_postprocessing
from mednca_pipeline.evaluation.metrics import evaluate_case, units_of, with_policy
from mednca_pipeline.runtime.files import replacing, write_text
from mednca_pipeline.runtime.preprocessing import preprocess_image
from mednca_pipeline.runtime.quality import FOREGROUND
from mednca_pipeline.training.job import prepare
from mednca_pipeline.training.options import TrainingOptions
from mednca_pipeline.workspace import Workspace

from . import screen
from .view_networks import ALL, Member, Study

OUT = Path(__file__).parents[2] / "results" / "recipe"
COLUMNS = (
    "commit,dataset,what,seeds,iterations,networks,cpu_minutes,class_dice,mean_class_dice,foreground_dice,foreground_hd95,"
    "cpu_seconds_per_case,cases_mean_class_dice,cases_foreground_dice"
).split(",")
HEAD = """\
`python -m benchmarks.recipe.views --root WORKSPACE --work FOLDER -d 4 --iterations ITERATIONS --seeds SEEDS`, on the
training and held-out cases of screens (128 and 32). Iterations are of each network, minutes of CPU for all of them.
Less (a): the mean difference from the coronal network of the same seed and iterations (of several seeds: from the mean
of these), case by case, ± its standard error over the cases. CPU seconds per case are of preprocessing, prediction and
decoding without the quality score, on one thread beside other processes.

"""
TABLE = (
    "iterations,what,seeds,networks,CPU minutes,classes,mean of classes,whole,HD95 (mm),mean of classes less (a),"
    "whole less (a),CPU seconds per case,commit"
).split(",")
BASE = "(a) coronal"


def comparisons(seeds: Sequence[int]) -> list[tuple[str, list[Member]]]:
    """In this order networks are trained."""
    found: list[tuple[str, list[Member]]] = []
    for seed in seeds:
        three = (ALL, seed)
        found += [
            (BASE, [((("coronal",), seed), "coronal")]),
            ("(b) one network of three views, predicts coronal", [(three, "coronal")]),
            ("(c) one network of three views, averaged over them", [(three, name) for name in ALL]),
        ]
    if len(seeds) > 1:
        found.append(("(e) coronal, seeds averaged", [((("coronal",), seed), "coronal") for seed in seeds]))
    for seed in seeds:
        found += [(name, [(((name,), seed), name)]) for name in ALL if name != "coronal"]
        found.append(("(d) three networks, one per view, averaged", [(((name,), seed), name) for name in ALL]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="workspace with the planned and preprocessed dataset")
    parser.add_argument("--work", type=Path, help="folder for the views' stores and the networks")
    parser.add_argument("-d", help="dataset")
    parser.add_argument("--iterations", type=int, default=2500, help="of each network")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    if not arguments.root:
        report()
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    root = arguments.root.resolve()
    arguments.model, arguments.config = "mednca", "2d"
    with tempfile.TemporaryDirectory() as scratch:
        dataset, config = screen.prepare(root, Path(scratch), arguments, {})
        options = TrainingOptions(dataset=dataset, fold=0, model=arguments.model, config=config, device="cpu")
        job = prepare(Workspace(Path(scratch)), options)
    logging.info("%d training, %d held-out cases", len(job.recipe.cases), len(job.fold.val))
    study = Study(job, Workspace(root), arguments.work.resolve(), arguments.iterations)
    for what, members in comparisons(arguments.seeds):
        add(measured(study, what, members))


def measured(study: Study, what: str, members: Sequence[Member]) -> dict[str, Any]:
    """The predictions of some networks, averaged and measured, as a row of views.csv."""
    predicted = [study.predicted(member) for member in members]
    trained = dict.fromkeys(network for network, _ in members)
    records = [study.network(network)[1] for network in trained]
    began = time.process_time()
    means = [np.mean(maps, axis=0) for maps in zip(*(maps for maps, _ in predicted), strict=True)]
    segmented = [segmentation(study, index, mean) for index, mean in enumerate(means)]
    seconds = (time.process_time() - began) / len(means) + sum(part for _, part in predicted)
    plans = study.job.plans
    units = units_of(plans)
    evaluated = (
        evaluate_case(found, case.labels, case.spacing_mm, plans.labels, units)
        for found, case in zip(segmented, study.cases, strict=True)
    )
    metrics = [{name: with_policy(row) for name, row in classes.items()} for classes in evaluated]
    dice = {name: [case[name]["dice"] for case in metrics] for name in (*plans.labels.names, FOREGROUND)}
    whole = dice.pop(FOREGROUND)
    classes = [statistics.mean(of_case) for of_case in zip(*dice.values(), strict=True)]
    return {
        "commit": " ".join(dict.fromkeys(record["commit"] for record in records)),
        "dataset": plans.dataset,
        "what": what,
        "seeds": " ".join(sorted({str(seed) for _, seed in trained})),
        "iterations": study.iterations,
        "networks": len(trained),
        "cpu_minutes": round(sum(record["cpu_minutes"] for record in records), 1),
        "class_dice": json.dumps({name: round(statistics.mean(values), 4) for name, values in dice.items()}),
        "mean_class_dice": round(statistics.mean(classes), 4),
        "foreground_dice": round(statistics.mean(whole), 4),
        "foreground_hd95": round(statistics.mean(case[FOREGROUND]["hd95"] for case in metrics), 3),
        "cpu_seconds_per_case": round(seconds, 4),
        "cases_mean_class_dice": json.dumps([round(value, 4) for value in classes]),
        "cases_foreground_dice": json.dumps([round(value, 4) for value in whole]),
    }


def segmentation(study: Study, index: int, probabilities: np.ndarray) -> np.ndarray:
    """Labels (z, y, x) of a held-out case from its probabilities (K, z, y, x) in the cropped image."""
    case, plans, axial = study.cases[index], study.job.plans, study.views["axial"].preprocessing
    _, frame = preprocess_image(case.array, case.spacing_mm, axial)
    labels = frame.restore_labels(probabilities, plans.labels)
    return apply_postprocessing(labels, plans.components, plans.labels)[0]


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("dataset", "iterations", "what", "seeds"))


def rows() -> dict[tuple[str, ...], dict[str, Any]]:
    file = OUT / "views.csv"
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        return {key(row): row for row in csv.DictReader(stream)}


def add(row: dict[str, Any]) -> None:
    """Puts a row into views.csv, in place of an earlier one of the same networks, and writes the table."""
    logging.info("%s", {name: value for name, value in row.items() if not name.startswith("cases_")})
    known = {**rows(), key(row): row}
    with replacing(OUT / "views.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[name] for name in sorted(known))
    report()


def report() -> None:
    known = rows()
    cells = [TABLE, ["---"] * len(TABLE), *(cells_of(row, known) for row in known.values())]
    write_text(OUT / "views.md", HEAD + "".join("| " + " | ".join(map(str, line)) + " |\n" for line in cells))


def cells_of(row: dict[str, Any], known: dict[tuple[str, ...], dict[str, Any]]) -> list[str]:
    bases = [
        known.get(key({**row, "what": BASE, "seeds": seed})) for seed in row["seeds"].split() if row["what"] != BASE
    ]
    differences = []
    for column in ("cases_mean_class_dice", "cases_foreground_dice"):
        if bases and all(bases):
            base = np.mean([json.loads(one[column]) for one in bases], axis=0)
            gains = np.array(json.loads(row[column])) - base
            differences.append(f"{gains.mean():+.4f} ± {gains.std(ddof=1) / len(gains) ** 0.5:.4f}")
        else:
            differences.append("")
    classes = ", ".join(f"{name} {value:.4f}" for name, value in json.loads(row["class_dice"]).items())
    return [
        *(row["iterations"], row["what"], row["seeds"], row["networks"], row["cpu_minutes"], classes),
        *(f"{float(row[name]):.4f}" for name in ("mean_class_dice", "foreground_dice")),
        *(f"{float(row['foreground_hd95']):.2f}", *differences),
        *(f"{float(row['cpu_seconds_per_case']):.3f}", row["commit"]),
    ]


if __name__ == "__main__":
    main()
