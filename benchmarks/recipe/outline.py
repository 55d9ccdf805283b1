"""What computing only at the outline changes, for several eps and halos, on the held-out cases of screens.

    python -m benchmarks.recipe.outline --root WORKSPACE --models FOLDER...

FOLDER: a model that `benchmarks.recipe.screen --keep` kept. It was trained inside fold 0's training cases; the cases of
its summary were held out there. Dice of the foreground and HD95, as mednca_predict writes them, of every outline less
those of computing every cell, and the share of each level's cells that were computed. Writes results/recipe/outline.md.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.scans import read_scan
from mednca_pipeline.datasets.dataset import load_dataset
from mednca_pipeline.evaluation.metrics import evaluate_case, units_of, with_policy
from mednca_pipeline.evaluation.provenance import provenance
from mednca_pipeline.execution.libraries import wait_briefly
from mednca_pipeline.inference import light
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.results.model_folder import ModelFolder
from mednca_pipeline.runtime.files import write_text
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.quality import FOREGROUND
from mednca_pipeline.workspace import Workspace

OUT = Path(__file__).parents[2] / "results" / "recipe" / "outline.md"
EPS, HALOS = (0.01, 0.02, 0.05, 0.1), (1, 2)


@dataclass
class Found:
    """Per case: Dice and HD95 of the foreground, and the share of each level's cells that were computed."""

    dice: list[float]
    hd95: list[float]
    computed: list[tuple[float, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with the raw datasets")
    parser.add_argument("--models", required=True, nargs="+", type=Path, help="model folders that screens kept")
    arguments = parser.parse_args()
    wait_briefly()
    outlines = [None, *(Outline(eps, halo) for halo, eps in product(HALOS, EPS))]
    lines = []
    for folder in arguments.models:
        found = {outline: measure(folder, arguments.root.resolve(), outline) for outline in outlines}
        lines += rows(folder, found)
        print("\n".join(lines[-len(outlines) :]), flush=True)
    said = ", ".join(f"{key} {value}" for key, value in provenance().items())
    head = (
        "| model | eps | halo | Dice | HD95 | Dice less every cell's | HD95 over every cell's | cells computed |\n"
        + "|---" * 8
        + "|\n"
    )
    text = "`python -m benchmarks.recipe.outline --root WORKSPACE --models FOLDER...`; " + said
    write_text(OUT, f"{text}\n\n{head}" + "\n".join(lines) + "\n")


def measure(folder: Path, root: Path, outline: Outline | None) -> Found:
    predictor = Predictor.from_folder(folder, [0], PredictionOptions(device="cpu", quality=False))
    network = predictor.networks[0]
    assert isinstance(network, light.LightNetwork)
    network.plan = replace(network.plan, outline=outline)
    raw = {case.name: case for case in load_dataset(Workspace(root).raw_folder(predictor.plans.dataset)).training}
    found = Found([], [], [])
    for name in ModelFolder(folder).fold(0).summary().cases:
        scan = read_scan(raw[name])
        prediction = predictor.predict(scan.array, scan.spacing_mm)
        labels, units = predictor.plans.labels, units_of(predictor.plans)
        of_classes = evaluate_case(prediction.labels, scan.labels, scan.spacing_mm, labels, units)
        metrics = with_policy(of_classes[FOREGROUND])
        found.dice.append(metrics["dice"])
        found.hd95.append(metrics["hd95"])
        found.computed.append(network.computed)
    return found


def rows(folder: Path, found: dict[Outline | None, Found]) -> list[str]:
    every, lines = found[None], []
    for outline, of in found.items():
        share = ", ".join(f"{value:.2f}" for value in np.mean(of.computed, axis=0))
        eps, halo = (outline.eps, outline.halo) if outline else ("every cell", "")
        dice, hd95 = mean(of.dice), mean(of.hd95)
        lines.append(
            f"| {folder.parent.name} | {eps} | {halo} | {dice:.4f} | {hd95:.2f} | {dice - mean(every.dice):+.4f} | "
            f"{hd95 / mean(every.hd95):.3f} | {share} |"
        )
    return lines


if __name__ == "__main__":
    main()
