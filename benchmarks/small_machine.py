"""Prediction on a small machine: size of the light environment, start, seconds, memory, and how little memory will do.

    python -m benchmarks.small_machine --root WORKSPACE

WORKSPACE has raw/ and plans/*/splits.json. Every figure is of the command itself, mednca_predict, in a process of its
own with one thread: wall seconds from its start to the written file, CPU seconds beside them (wall seconds say little
where the machine has other work), seconds per case as quality.csv has them (from file to file in a running process),
and peak resident memory. Times are medians of --repeats; with torch there is one run. The images: the head of
benchmarks/small_cases.py. The limit: the head of benchmarks/memory_limits.py. On two free cores it takes less than ten
minutes.
Writes results/benchmarks/small_machine.md and .json.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.memory_limits import MB, Ran, kind_of_limit, run

ROOT = Path(__file__).parents[1]
LIMITS_MB = (512, 256)
STEP_MB = 8  # of the smallest limit
RUNGS_MB = (256, 512, 768, 1024, 1536, 2048, 3072)  # of it with torch
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "mednca_pipeline", "dataset_conversion")
FOLD, FIVE, TORCH, UNET = "one fold, score", "five folds, score", "torch, every cell", "unet_small, torch"
METHODS = {  # what mednca_predict is asked for
    FOLD: ("mednca", ["--folds", "0"]),
    FIVE: ("mednca", []),
    TORCH: ("mednca", ["--folds", "0", "--everywhere", "--no-quality"]),
    UNET: ("unet_small", ["--folds", "0"]),
}
PUBLISHED = {  # seconds on a Raspberry Pi 4, from OctreeNCA's paper
    "OctreeNCA": ("2.2", "4.9", "8.8", "21.5"),
    "Med-NCA": ("4.4", "10.0", "17.9", "44.2"),
    "UNet": ("10.1", "23.2", "42.2", "out of memory"),
}


@dataclass(frozen=True)
class Bench:
    """python: of the light environment. scratch: for outputs. repeats: of what is timed."""

    python: Path
    scratch: Path
    repeats: int

    def predict(self, case: dict, method: str, limit_mb: int | None = None) -> tuple[Ran, float]:
        """What the command took, and the seconds of the case in quality.csv."""
        model, options = METHODS[method]
        python = str(self.python if method in (FOLD, FIVE) else sys.executable)
        out = self.scratch / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = [python, "-m", "mednca_pipeline.cli.predict", "--quiet", "--device", "cpu"]
        command += ["-i", case["source"], "-o", str(out), "-m", case["models"][model], *options]
        ran = run(command, environment(light=method in (FOLD, FIVE)), self.scratch, limit_mb)
        return ran, seconds_of(out) if ran.done else float("nan")

    def works(self, case: dict, method: str, limit_mb: int) -> bool:
        return self.predict(case, method, limit_mb)[0].done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path, help="workspace with raw/ and plans/*/splits.json")
    parser.add_argument("--repeats", type=int, default=5, help="(default: 5)")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), help="(default: all)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        python = light_environment(scratch / "light")
        size = sizes(scratch / "light")
        bench = Bench(python, scratch, arguments.repeats)
        made = [sys.executable, "-m", "benchmarks.small_cases", "--root", str(arguments.root), "--scratch", name]
        cases = json.loads(subprocess.run(made, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout)
        rows = []
        for method in arguments.methods:
            for case in cases:
                rows.append(measured(bench, case, method))
                print(line_of(rows[-1]), flush=True)
        write({"light environment, MB": size, "limit": kind_of_limit(), "rows": rows})


def light_environment(folder: Path) -> Path:
    """A fresh environment with the light installation, without pip; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python, source = folder / "bin" / "python", folder.with_name("source")
    source.mkdir()
    for name in SOURCES:  # pip builds in the folder that it is given
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), str(source)], check=True)
    return python


def sizes(folder: Path) -> dict[str, float]:
    """MB of the whole environment and of its largest parts."""
    packages = next(folder.glob("lib/python*/site-packages"))
    parts = {path.name: size_mb(path) for path in packages.iterdir()}
    largest = sorted(parts, key=parts.__getitem__, reverse=True)[:8]
    return {"in all": size_mb(folder), **{name: parts[name] for name in largest}}


def size_mb(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    return sum(file.stat().st_size for file in files) / MB


def environment(light: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MEDNCA"))}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return kept | threads | ({} if light else {"PYTHONPATH": str(ROOT)})


def seconds_of(out: Path) -> float:
    with (out / "quality.csv").open(encoding="utf-8") as file:
        return float(next(csv.DictReader(file))["seconds"])


def measured(bench: Bench, case: dict, method: str) -> dict:
    light = method in (FOLD, FIVE)
    if light:
        bench.predict(case, method)  # writes the bytecode, and fills the disk's cache
    runs = [bench.predict(case, method) for _ in range(bench.repeats if light else 1)]
    failed = next((ran.said for ran, _ in runs if not ran.done), None)
    if failed:
        raise SystemExit(f"{case['name']}, {method}: {failed}")
    row = {"image": case["name"], "method": method}
    row |= {name: median(asdict(ran)[name] for ran, _ in runs) for name in ("wall_s", "cpu_s", "peak_mb")}
    row["case_s"] = median(seconds for _, seconds in runs)
    for limit in LIMITS_MB:
        ran, seconds = bench.predict(case, method, limit)
        row[f"under {limit} MB"] = seconds if ran.done else None
    row["smallest_mb"] = smallest(bench, case, method, row["peak_mb"])
    return row


def smallest(bench: Bench, case: dict, method: str, peak_mb: float) -> int | None:
    """The smallest limit at which the command still ends well: by bisection, with torch the first rung of a few."""
    if method not in (FOLD, FIVE):
        rungs = [rung for rung in RUNGS_MB if rung > 0.5 * peak_mb]
        return next((rung for rung in rungs if bench.works(case, method, rung)), None)
    too_small, enough = 16, STEP_MB * (int(1.25 * peak_mb) // STEP_MB + 1)
    if not bench.works(case, method, enough):
        return None
    while enough - too_small > STEP_MB:
        middle = STEP_MB * ((too_small + enough) // (2 * STEP_MB))
        too_small, enough = (too_small, middle) if bench.works(case, method, middle) else (middle, enough)
    return enough


def line_of(row: dict) -> str:
    limits = " | ".join(
        "no" if row[f"under {limit} MB"] is None else f"{row[f'under {limit} MB']:.2f} s" for limit in LIMITS_MB
    )
    times = f"{row['wall_s']:.2f} | {row['cpu_s']:.2f} | {row['case_s']:.2f}"
    least = row["smallest_mb"] or f"above {RUNGS_MB[-1]}"
    return f"| {row['method']} | {row['image']} | {times} | {row['peak_mb']:.0f} | {limits} | {least} |"


def table(found: dict) -> str:
    size = ", ".join(f"{name} {value:.0f}" for name, value in found["light environment, MB"].items())
    limits = " | ".join(f"s per case under {limit} MB" for limit in LIMITS_MB)
    lines = [
        f"Light environment without pip, MB (asked: below 130): {size}.",
        "",
        f"The limit is {found['limit']}.",
        "",
    ]
    lines += [
        f"| method | image | s from start to file | CPU s | s per case | peak MB | {limits} | smallest limit, MB |",
        "|---" * 9 + "|",
        *map(line_of, found["rows"]),
        "",
        "For orientation, another machine and other images: seconds that OctreeNCA's authors published for a",
        "Raspberry Pi.",
        "",
        "| pixels | 320 | 480 | 640 | 960 |",
        "|---" * 5 + "|",
        *(f"| {name} | {' | '.join(seconds)} |" for name, seconds in PUBLISHED.items()),
    ]
    return "\n".join(lines)


def write(found: dict) -> None:
    from benchmarks.timing import OUT, command_line
    from mednca_pipeline.evaluation.provenance import provenance
    from mednca_pipeline.runtime.files import write_json, write_text

    origin, command = provenance(), command_line()
    said = ", ".join(f"{key} {value}" for key, value in origin.items())
    write_json(OUT / "small_machine.json", {"command": command, **origin, **found})
    head = "One process, one thread; how: the heads of benchmarks/small_machine.py and small_cases.py."
    write_text(OUT / "small_machine.md", f"`{command}`; {said}\n\n{head}\n\n{table(found)}\n")


if __name__ == "__main__":
    main()
