"""Do the two backends of mednca give the same labels? On every validation case of fold 0, with the present weights.

    python -m benchmarks.light_and_torch --root WORKSPACE

WORKSPACE has raw/ and plans/*/splits.json. Both backends compute the cells at the outline. The labels are compared
before components are removed, which could hide a difference. Asked: identical labels on at least 99.99 % of the voxels.
Writes results/benchmarks/light_and_torch.md and .json.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.prediction import prepare
from benchmarks.scans import read_scan
from mednca_pipeline.inference.options import PredictionOptions
from mednca_pipeline.inference.predictor import LoadedModel, Predictor
from mednca_pipeline.inference.torch_nca import TorchNCA

ASKED = 0.9999


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with raw/ and plans/*/splits.json")
    parser.add_argument("-d", nargs="+", default=["4", "12"], help="datasets (default: 4 12)")
    arguments = parser.parse_args()
    rows = []
    for dataset in arguments.d:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = prepare(arguments.root.resolve(), dataset, Path(scratch))
            light = Predictor.from_folder(prepared.mednca, [0], PredictionOptions(quality=False, postprocess=False))
            rows.append(agreement(prepared.dataset, light, in_torch(light, prepared.mednca), prepared.cases))
            print(table(rows), flush=True)
    write(rows)


def in_torch(light: Predictor, folder: Path) -> Predictor:
    """The same model on the same device, computed by torch."""
    from safetensors.torch import load_file

    from mednca_pipeline.models.registry import build_model

    plans, config, name = light.plans, light.config, light.model
    module = build_model(name, plans, config)
    module.load_state_dict(load_file(folder / "fold_0" / "final.safetensors"))
    network = TorchNCA(module, plans, config, plans.config(config).model(name), "cpu", everywhere=False)
    return Predictor(LoadedModel(plans, config, name, {0: network}), PredictionOptions(quality=False))


def agreement(dataset: str, light: Predictor, torch: Predictor, cases: Sequence) -> dict:
    """How many voxels, how many of them in a structure, and how many labels differ: in all, and in the worst case."""
    voxels, labelled, different = [], [], []
    for case in cases:
        scan = read_scan(case)
        ours, theirs = (each.predict(scan.array, scan.spacing_mm).labels for each in (light, torch))
        voxels.append(ours.size)
        labelled.append(int(np.count_nonzero(ours)))
        different.append(int(np.count_nonzero(ours != theirs)))
    shares = [1 - count / size for count, size in zip(different, voxels, strict=True)]
    return {
        "dataset": dataset,
        "cases": len(cases),
        "voxels": sum(voxels),
        "labelled": sum(labelled),
        "different": sum(different),
        "identical": 1 - sum(different) / sum(voxels),
        "identical in the worst case": min(shares),
    }


def table(rows: Sequence[dict]) -> str:
    lines = [
        "| dataset | cases | voxels | in a structure | other labels | identical (asked: 99.99 %) | in the worst case |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        shares = " | ".join(f"{100 * row[name]:.5f} %" for name in ("identical", "identical in the worst case"))
        counts = " | ".join(f"{row[name]:,}" for name in ("voxels", "labelled", "different"))
        lines.append(f"| {row['dataset']} | {row['cases']} | {counts} | {shares} |")
    return "\n".join(lines)


def write(rows: list[dict]) -> None:
    from benchmarks.timing import OUT, command_line
    from mednca_pipeline.evaluation.provenance import provenance
    from mednca_pipeline.runtime.files import write_json, write_text

    origin, command = provenance(), command_line()
    said = ", ".join(f"{key} {value}" for key, value in origin.items())
    write_json(OUT / "light_and_torch.json", {"command": command, **origin, "rows": rows})
    head = "mednca in NumPy and in torch, validation cases of fold 0; how: the head of benchmarks/light_and_torch.py."
    write_text(OUT / "light_and_torch.md", f"`{command}`; {said}\n\n{head}\n\n{table(rows)}\n")


if __name__ == "__main__":
    main()
