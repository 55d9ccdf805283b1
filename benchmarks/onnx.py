"""ONNX Runtime beside the backends that predict today, on the same cases.

    python -m benchmarks.onnx --root WORKSPACE [-d 4 12 20 21] [--cases 4] [--rounds 5]

Seconds of processor time of one thread, from the preprocessed image to probabilities, all backends in turn in each
round. WORKSPACE has raw/ and plans/ with splits.json. mednca has the weights of the longest training of the present
plan in results/recipe/finals; unet_small those that a training starts from, as its time does not depend on them. The
graph of mednca gets two slices at once, which was the fastest. "coarsest level": a network of this level alone, which
is the part that the outline does not make smaller. Writes results/benchmarks/onnx.md and .json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.prediction import THREADS, prepare, write

if TYPE_CHECKING:
    from mednca_pipeline.plans.model_plans import NCAPlan
    from mednca_pipeline.plans.plans import Plans
    from mednca_pipeline.runtime.weights import FoldWeights

AT_ONCE = 2
LIGHT, EVERY, GRAPH = "mednca at the outline, NumPy", "every cell, NumPy", "every cell, ONNX Runtime"
COARSE, COARSE_GRAPH = "coarsest level, NumPy", "coarsest level, ONNX Runtime"
TORCH, UNET_GRAPH = "unet_small, torch", "unet_small, ONNX Runtime"
COLUMNS = (LIGHT, EVERY, GRAPH, COARSE, COARSE_GRAPH, TORCH, UNET_GRAPH)

HEAD = "Seconds of processor time per case, one thread, preprocessed; how: the head of benchmarks/onnx.py."

Backend = Callable[[np.ndarray], np.ndarray]  # preprocessed image (C, S, H, W) -> probabilities (K, S, H, W)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with raw/ and plans/*/splits.json")
    parser.add_argument("-d", nargs="+", default=["4", "12", "20", "21"])
    parser.add_argument("--cases", type=int, default=4, help="validation cases (default: 4)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in THREADS.items()):
        sys.exit(subprocess.call([sys.executable, *sys.orig_argv[1:]], env=os.environ | THREADS))
    rows = []
    for dataset in arguments.d:
        rows.append(measured(arguments.root.resolve(), dataset, arguments.cases, arguments.rounds))
        print(table(rows), flush=True)
        write("onnx", rows, table(rows), HEAD)


def measured(root: Path, dataset: str, n_cases: int, rounds: int) -> dict:
    """Medians over the rounds of seconds per case, and how far the graph's probabilities lie from NumPy's."""
    from benchmarks.scans import read_scan
    from mednca_pipeline.inference.options import PredictionOptions
    from mednca_pipeline.inference.predictor import Predictor
    from mednca_pipeline.inference.trained_model import open_model

    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(root, dataset, Path(scratch))
        options = PredictionOptions(device="cpu", quality=False)
        nca = Predictor.from_folder(prepared.mednca, [0], options)
        unet = Predictor.from_folder(prepared.unet, [0], options)
        in_onnx = Predictor.from_folder(prepared.unet, [0], replace(options, device="onnx"))
        backends = {
            **nca_backends(nca.networks[0], nca.plans, nca.config, open_model(prepared.mednca).weights(0)),
            TORCH: backend_of(unet.networks[0], nca.plans.labels),
            UNET_GRAPH: backend_of(in_onnx.networks[0], nca.plans.labels),
        }
        scans = [read_scan(case) for case in prepared.cases[:: -(-len(prepared.cases) // n_cases)]]
        images = [nca.prepare(scan.array, scan.spacing_mm).array for scan in scans]
    seconds: dict[str, list[float]] = {name: [] for name in backends}
    for _ in range(1 + rounds):
        for name, backend in backends.items():
            start = time.process_time()
            for image in images:
                backend(image)
            seconds[name].append((time.process_time() - start) / len(images))
    difference = max(float(np.abs(backends[EVERY](image) - backends[GRAPH](image)).max()) for image in images)
    assert difference < 1e-4, difference
    medians = {name: median(values[1:]) for name, values in seconds.items()}
    return {"dataset": prepared.dataset, "cases": len(images), "seconds": medians, "difference": difference}


def backend_of(network, labels) -> Backend:
    """A loaded fold."""
    from mednca_pipeline.inference.network import Asked
    from mednca_pipeline.runtime.quality import Deviation

    def predict(image: np.ndarray) -> np.ndarray:
        parts = [network.probabilities(seen, Asked(quality=False), Deviation(labels)) for seen in network.see(image)]
        return np.concatenate([next(part) for part in parts], axis=1)

    return predict


def nca_backends(network, plans: "Plans", config: str, weights: "FoldWeights") -> dict[str, Backend]:
    from mednca_pipeline.inference.light import LightNetwork
    from mednca_pipeline.runtime.weights import FoldWeights

    plan = replace(plans.config(config).model("mednca"), outline=None)
    first = {name: array for name, array in weights.arrays.items() if name.startswith("cells.0.")}
    coarsest, coarse_weights = replace(plan, levels=plan.levels[:1]), FoldWeights(first, weights.source)
    return {
        LIGHT: backend_of(network, plans.labels),
        EVERY: backend_of(LightNetwork(weights, plans, config, plan), plans.labels),
        GRAPH: graph_backend(plans, config, plan, weights),
        COARSE: backend_of(LightNetwork(coarse_weights, plans, config, coarsest), plans.labels),
        COARSE_GRAPH: graph_backend(plans, config, coarsest, coarse_weights),
    }


def graph_backend(plans: "Plans", config: str, plan: "NCAPlan", weights: "FoldWeights") -> Backend:
    from onnxruntime import InferenceSession, SessionOptions

    from mednca_pipeline.deploy.onnx_graph import prediction_graph
    from mednca_pipeline.inference.network import input_format
    from mednca_pipeline.runtime.network_input import parts

    chosen = plans.config(config)
    changed = replace(plans, configs={config: chosen.with_model("mednca", plan)}, default_config=config)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    graph = prediction_graph(changed, config, "mednca", [weights.arrays])
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    seen_as = input_format(chosen, plan, plan.levels[0].factor)

    def predict(image: np.ndarray) -> np.ndarray:
        found = []
        for part in parts(image, seen_as):
            batch = np.ascontiguousarray(part.array.swapaxes(0, 1))
            few = [batch[first : first + AT_ONCE] for first in range(0, len(batch), AT_ONCE)]
            probabilities = np.concatenate([session.run(None, {"image": slices})[0] for slices in few])
            found.append(part.pad.inverse(probabilities.swapaxes(0, 1)))
        return np.concatenate(found, axis=1)

    return predict


def table(rows: Sequence[dict]) -> str:
    lines = [f"| dataset | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for row in rows:
        cells = [f"{row['seconds'][name]:.4f}" for name in COLUMNS]
        lines.append(f"| {' | '.join([row['dataset'], *cells])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
