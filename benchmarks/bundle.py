"""What a bundle weighs, and what float16 costs in Dice.

    python -m benchmarks.bundle --root WORKSPACE [-d 4 12 20 21]

1. For each dataset, fold 0 of the longest training of the present plan (results/recipe/finals) goes into a bundle, as
   mednca_export writes it, and predicts the validation cases of fold 0 from it: with weights in float32, and in float16
   with fewer and fewer bits of mantissa. The line in bold is what `--dtype float16` stores.
2. Five folds of hippocampus are five trainings in results/recipe/finals with the same number of weights; if there are
   fewer, the first come again. A zip compresses each member by itself, so copies are no smaller.
Writes results/benchmarks/bundle.md and .json.
"""

import argparse
import tempfile
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from unittest.mock import patch
from zipfile import ZipFile

import numpy as np

from benchmarks.prediction import FINALS, FOLDS, prepare
from benchmarks.scans import read_scan
from mednca_pipeline.deploy import half_precision
from mednca_pipeline.deploy.bundle import WeightsKind, write_bundle
from mednca_pipeline.deploy.card import make_card
from mednca_pipeline.evaluation.metrics import dice_by_policy
from mednca_pipeline.evaluation.provenance import provenance
from mednca_pipeline.inference.folder_model import FolderModel
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import Predictor
from mednca_pipeline.results.model_card import DataFacts
from mednca_pipeline.runtime.files import write_json, write_text
from mednca_pipeline.runtime.weights import read_weights

from .timing import OUT, command_line

SIZES_OF = "4"
AIM_BYTES = 300_000  # of five folds of hippocampus in float16
MANTISSAS = (10, 9, 8, 7, 6)


@dataclass(frozen=True)
class Cost:
    """Of one way to store the weights, against float32, over the validation cases. bytes: of fold 0's member, zipped.

    changed: voxels with another label, as a share of the foreground's.
    """

    dataset: str
    stored: str
    bytes: int
    cases: int
    dice: float
    mean_change: float
    largest_change: float
    changed: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with raw/ and plans/*/splits.json")
    parser.add_argument("-d", nargs="+", default=["4", "12", "20", "21"])
    arguments = parser.parse_args()
    costs: list[Cost] = []
    sizes: dict[str, int] = {}
    for dataset in arguments.d:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = prepare(arguments.root.resolve(), dataset, Path(scratch))
            costs += measured(prepared.dataset, FolderModel.open(prepared.mednca), prepared.cases, Path(scratch))
            if dataset == SIZES_OF:
                sizes = five_folds(prepared.dataset, FolderModel.open(prepared.mednca), Path(scratch))
        print(table(costs), flush=True)
    origin, command = provenance(), command_line()
    write_json(OUT / "bundle.json", {"command": command, **origin, "costs": [vars(cost) for cost in costs], **sizes})
    write_text(OUT / "bundle.md", page(costs, sizes, f"`{command}`; " + ", ".join(map(" ".join, origin.items()))))


def measured(dataset: str, model: FolderModel, cases: list, scratch: Path) -> list[Cost]:
    scans = [read_scan(case) for case in cases]
    expected = None
    costs = []
    for bits in (None, *MANTISSAS):
        with patch.object(half_precision, "MANTISSA_BITS", bits or 0):
            file = exported(model, (0,), "float32" if bits is None else "float16", scratch)
        predictor = Predictor.from_bundle(file, options=PredictionOptions(device="cpu", quality=False))
        labels = predictor.plans.labels
        found = [predictor.predict(scan.array, scan.spacing_mm).labels for scan in scans]
        pairs = zip(found, scans, strict=True)
        dice = np.array([dice_by_policy(labels.foreground(one), labels.foreground(scan.labels)) for one, scan in pairs])
        expected = (found, dice) if expected is None else expected
        changed = sum(int((one != same).sum()) for one, same in zip(found, expected[0], strict=True))
        foreground = sum(int(labels.foreground(one).sum()) for one in expected[0])
        change = dice - expected[1]
        with ZipFile(file) as archive:
            size = archive.getinfo("fold_0/final.safetensors").compress_size
        stored = "float32" if bits is None else f"float16, {bits} bits"
        largest = float(np.abs(change).max())
        costs.append(Cost(dataset, stored, size, len(cases), dice.mean(), change.mean(), largest, changed / foreground))
    return costs


def five_folds(dataset: str, model: FolderModel, scratch: Path) -> dict[str, int]:
    """Bytes of a bundle of five folds for each way to store their weights."""
    shapes = _shapes(model.folder.fold(0).weights)
    trainings = [
        file for file in sorted(FINALS.glob(f"{dataset}_mednca_2d_*/final.safetensors")) if _shapes(file) == shapes
    ]
    for fold, file in enumerate(islice(cycle(trainings), FOLDS)):
        model.folder.fold(fold).weights.write_bytes(file.read_bytes())
    sizes = {}
    for kind in ("float32", "float16"):
        sizes[f"{kind}_bytes"] = exported(model, tuple(range(FOLDS)), kind, scratch).stat().st_size
    return {**sizes, "trainings": len(trainings)}


def exported(model: FolderModel, folds: tuple[int, ...], weights: WeightsKind, scratch: Path) -> Path:
    file = scratch / "model.mednca"
    write_bundle(model, folds, weights, make_card(model, folds, DataFacts()), file)
    return file


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in read_weights(file).arrays.items()}


def table(costs: list[Cost]) -> str:
    lines = [
        "| dataset | weights | kB of a fold | cases | Dice | mean change | largest change of a case | voxels changed |",
        "|---" * 8 + "|",
    ]
    for cost in costs:
        shown = f"**{cost.stored}**" if cost.stored.endswith(f" {half_precision.MANTISSA_BITS} bits") else cost.stored
        lines.append(
            f"| {cost.dataset} | {shown} | {cost.bytes / 1000:.1f} | {cost.cases} | {cost.dice:.5f} | "
            f"{cost.mean_change:+.5f} | {cost.largest_change:.5f} | {100 * cost.changed:.3f} % |"
        )
    return "\n".join(lines)


def page(costs: list[Cost], sizes: dict[str, int], origin: str) -> str:
    text = [
        f"# Bundles\n\n{origin}\n\nHow: the head of benchmarks/bundle.py. Changes are against float32.\n",
        table(costs),
    ]
    if sizes:
        trainings = f"{sizes['trainings']} trainings" + (", the first again" if sizes["trainings"] < FOLDS else "")
        text.append(
            f"\nFive folds of hippocampus ({trainings}), with plan, calibration, card and ONNX graph: "
            f"{sizes['float32_bytes']:,} bytes in float32, {sizes['float16_bytes']:,} in float16 (asked: below "
            f"{AIM_BYTES:,})."
        )
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    main()
