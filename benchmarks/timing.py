"""What the speed benchmarks share: interleaved timing, the rate of a matrix product, and what they write.

Each round runs every piece of work once, in turn, so that a busy or throttled machine slows all of them alike. Ratios
are taken within a round; of times, rates and ratios the median over the rounds is given, with the quartiles.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mednca_pipeline.device import choose_device
from mednca_pipeline.evaluation.provenance import provenance
from mednca_pipeline.execution.libraries import keep_freed_memory, wait_briefly
from mednca_pipeline.execution.processes import cores
from mednca_pipeline.plans.model_plans import NCAPlan
from mednca_pipeline.runtime.files import write_json, write_text

OUT = Path(__file__).parents[1] / "results" / "benchmarks"
OURS, PRODUCT = "ours", "matrix product"
WARMUP = 2  # rounds that do not count: kernels are chosen and memory is taken in them


@dataclass(frozen=True)
class Work:
    """Something to time. flops: floating-point operations that its rate is counted with; None: no rate."""

    run: Callable[[], object]
    flops: float | None = None


def options(description: str, rounds: int) -> argparse.ArgumentParser:
    """A parser with --threads, --device and --rounds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=cores(), help="threads that compute (default: all cores)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="(default: cpu)")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"timed rounds (default: {rounds})")
    return parser


def begin(arguments: argparse.Namespace) -> torch.device:
    """Sets the process up as every command does, for all that is measured in it alike; returns the device.

    OpenMP has read its variables by now, since torch is imported: where they are not set, starts Python again.
    """
    given = dict(os.environ)
    wait_briefly()
    if dict(os.environ) != given:
        sys.exit(subprocess.call([sys.executable, *sys.orig_argv[1:]]))
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    return choose_device(arguments.device)


def interleaved(works: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, np.ndarray]:
    """Seconds of each piece of work in each round (rounds,)."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(WARMUP + rounds):
        for name, run in works.items():
            _synchronise(device)
            start = time.perf_counter()
            run()
            _synchronise(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values[WARMUP:]) for name, values in seconds.items()}


def spread(values: np.ndarray) -> dict[str, float]:
    """{"low", "median", "high"}: the quartiles."""
    return dict(zip(("low", "median", "high"), np.percentile(values, (25, 50, 75)).tolist(), strict=True))


def measure(case: str, works: dict[str, Work], rounds: int, device: torch.device) -> dict:
    """Times `works`, of which one is OURS, and says how each compares with it, and with PRODUCT where that is one."""
    on_gpu = device.type == "cuda"  # peaks first: what a recorded graph takes, it takes once
    peaks = {name: cuda_peak_bytes(work.run, device) for name, work in works.items()} if on_gpu else {}
    seconds = interleaved({name: work.run for name, work in works.items()}, rounds, device)
    rows = {}
    for name, work in works.items():
        rows[name] = {"seconds": spread(seconds[name]), "over_ours": spread(seconds[name] / seconds[OURS])}
        if work.flops is not None:
            rate = work.flops / seconds[name]
            rows[name]["gflop_per_s"] = spread(rate / 1e9)
            rows[name]["share_of_product"] = spread(rate * seconds[PRODUCT] / works[PRODUCT].flops)
        if on_gpu:
            rows[name]["peak_bytes"] = peaks[name]
    record = {"case": case, "rounds": rounds, "work": rows}
    print(table([record]), flush=True)
    return record


def matrix_product(m: int, k: int, n: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Work:
    """(m, k) @ (k, n) into memory that is there already."""
    left, right = (torch.randn(shape, device=device, dtype=dtype) for shape in ((m, k), (k, n)))
    out = torch.empty(m, n, device=device, dtype=dtype)
    return Work(lambda: torch.mm(left, right, out=out), 2.0 * m * k * n)


def cell_flops(channels: int, hidden: int, fixed: int, dim: int = 2) -> float:
    """Of one update of one cell, its perception folded into one matrix: 2 * (3^dim + 1) * (C - fixed) * hidden."""
    return 2.0 * (3**dim + 1) * (channels - fixed) * hidden


def fixed_flops(hidden: int, fixed: int, dim: int = 2) -> float:
    """Of the fixed channels' part of a cell's hidden units, the same in all steps of a level."""
    return 2.0 * 3**dim * fixed * hidden


def firing_flops(
    plan: NCAPlan, n_image: int, grids: Sequence[Sequence[int]], batch: int, training: bool = False
) -> float:
    """Of all levels, counting the updates of the cells that fire only, and the fixed channels once per level.

    grids: of each level. In training a product of the forward pass has two in the backward pass; of the fixed channels
    one, for no gradient reaches them.
    """
    dim, of_all = len(grids[0]), 0.0
    for level, grid in zip(plan.levels, grids, strict=True):
        updates = plan.fire_rate * level.steps * cell_flops(plan.channels, plan.hidden, n_image, dim)
        once = fixed_flops(plan.hidden, n_image, dim)
        of_all += batch * float(np.prod(grid)) * (3 * updates + 2 * once if training else updates + once)
    return of_all


def cuda_peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """The most memory that `run` takes beyond what is held before it."""
    _synchronise(device)
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    run()
    _synchronise(device)
    return torch.cuda.max_memory_allocated(device) - held


def figure(what: str, measured: dict[str, float], unit: str, aim: str) -> dict:
    """A line of the table of figures. measured: quartiles, as `spread` gives them; unit: "x", "%" or "s"."""
    return {"figure": what, **measured, "unit": unit, "aim": aim}


def table(records: Sequence[dict]) -> str:
    """Markdown: a row per case and piece of work."""
    lines = [
        "| case | what | ms (quartiles) | time / ours (quartiles) | GFLOP/s | of the product's rate | GPU peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in records:
        for name, row in record["work"].items():
            cells = [
                _quartiles(row["seconds"], 1e3),
                _quartiles(row["over_ours"]),
                f"{row['gflop_per_s']['median']:.1f}" if "gflop_per_s" in row else "",
                f"{row['share_of_product']['median']:.0%}" if "share_of_product" in row else "",
                f"{row['peak_bytes'] / 1e6:.0f}" if "peak_bytes" in row else "",
            ]
            lines.append(f"| {record['case']} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figures_table(figures: Sequence[dict]) -> str:
    lines = ["| figure | measured (quartiles) | aim |", "|---|---|---|"]
    for row in figures:
        scale = 100 if row["unit"] == "%" else 1
        lines.append(f"| {row['figure']} | {_quartiles(row, scale)} {row['unit']} | {row['aim']} |")
    return "\n".join(lines)


def record(name: str, figures: list[dict], records: list[dict], notes: str, device: torch.device) -> None:
    """Writes results/benchmarks/<name>.json and .md (<name>_cuda on a GPU), with the command, commit and machine."""
    name = name if device.type == "cpu" else f"{name}_{device.type}"
    command, origin = command_line(), described(device)
    said = ", ".join(f"{key} {value}" for key, value in origin.items())
    head = f"`{command}`; {said}\n\n{notes}\n"
    write_json(OUT / f"{name}.json", {"command": command, **origin, "figures": figures, "cases": records})
    write_text(OUT / f"{name}.md", "\n".join([head, figures_table(figures), "", table(records), ""]))
    print(f"\n{figures_table(figures)}\n\nWritten: {OUT / name}.json and .md")


def command_line() -> str:
    """The command as given, without the folders of files: where they lie is nobody's business."""
    words = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]
    return " ".join(["python -m benchmarks." + Path(sys.argv[0]).stem, *words])


def described(device: torch.device) -> dict[str, str]:
    """Commit, date and machine as everywhere, with torch, its threads, and the device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {**provenance(), "torch": torch.__version__, "threads": str(torch.get_num_threads()), "device": name}


def _quartiles(values: dict[str, float], scale: float = 1.0) -> str:
    low, median, high = (values[key] * scale for key in ("low", "median", "high"))
    digits = 0 if median >= 100 else 1 if median >= 10 else 2
    return f"{median:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
