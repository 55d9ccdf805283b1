"""How long OpenMP's threads should spin before they sleep: training steps alone, and two trainings on the same cores.

    python -m benchmarks.waiting

Trains the planned hippocampus network on random images with as many threads as there are cores, in processes
of their own, since OpenMP reads its variables once. Prints milliseconds per iteration.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PLANS = Path(__file__).parents[1] / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json"
SETTINGS = {
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=1000 (ours)": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GNU's default": {},
}
WARMUP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(milliseconds(arguments.iterations))
        return
    print(f"| {os.cpu_count()} cores | alone | two at once |\n|---|---|---|")
    for name, variables in SETTINGS.items():
        alone, together = (max(run(variables, count, arguments.iterations)) for count in (1, 2))
        print(f"| {name} | {alone:.0f} ms | {together:.0f} ms |", flush=True)


def run(variables: dict[str, str], count: int, iterations: int) -> list[float]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-m", "benchmarks.waiting", "--child", "--iterations", str(iterations)]
    started = [subprocess.Popen(command, env=kept | variables, stdout=subprocess.PIPE) for _ in range(count)]
    return [float(process.communicate()[0]) for process in started]


def milliseconds(iterations: int) -> float:
    """Median of the training steps of this process."""
    import torch

    from mednca_pipeline.models.registry import build_model, read_plans

    plans = read_plans(PLANS)
    chosen = plans.config("2d")
    batch = chosen.models["mednca"].training.batch_size
    model = build_model("mednca", plans, "2d")
    image = torch.randn(batch, plans.input_channels(chosen.models["mednca"]), *chosen.image_size)
    origin, generator, seconds = torch.zeros(batch, 2, dtype=torch.int64), torch.Generator(), []
    for _ in range(iterations + WARMUP):
        start = time.perf_counter()
        outputs, _ = model(image, origin, generator)
        sum(output.logits.square().mean() for output in outputs).backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARMUP:]) * 1e3


if __name__ == "__main__":
    main()
