"""Kills commands (-9) at random moments and runs them again: the end is the same as that of an undisturbed run.

    python -m benchmarks.kills --kills 50 --seed 1

Each command works on small phantoms. After a kill no file may be half-written, and after the second run every result
must be equal to the undisturbed one: weights and labels bit for bit, tables without times. Else the exit code is 1.
"""

import argparse
import contextlib
import csv
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

DATASET = "Dataset001_Phantom"
SIZE = (8, 20, 18)
# Parts of the keys of what is measured.
MEASURED = ("seconds", "minutes", "memory", "command", "cores", "checksums", "commit", "machine", "id", "planned")
IGNORED = (".log", ".png", ".md", ".pt", ".lock", "job.json", "outcome.json")


@dataclass(frozen=True)
class Command:
    """again: the arguments of the second run, from the workspace as the kill left it. before: what must be done."""

    name: str
    module: str
    arguments: tuple[str, ...]
    before: tuple[str, ...] = ()
    again: Callable[[Path, tuple[str, ...]], tuple[str, ...]] = lambda root, arguments: arguments


@dataclass
class Killed:
    """How many runs were killed before they ended, what was wrong, and how many temporary files were left."""

    killed: int = 0
    finished: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)


def _continued(root: Path, arguments: tuple[str, ...]) -> tuple[str, ...]:
    begun = list((root / "results").rglob("checkpoint.pt"))
    records = [json.loads(file.read_text(encoding="utf-8")) for file in (root / "results").rglob("run.json")]
    finished = any(record.get("finished") for record in records)
    return (*arguments[:4], "--continue") if begun and not finished else arguments


def _over_the_former(root: Path, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """A dataset that was whole when the kill came is refused without --force."""
    return (*arguments, "--force") if (root / "raw" / "Dataset005_Killed").exists() else arguments


COMMANDS = (
    Command(
        "convert",
        "convert",
        ("pairs", "-i", "scans", "-l", "masks", "-d", "5", "--name", "Killed", "--labels", "1:body", "2:tail"),
        again=_over_the_former,
    ),
    Command("plan", "plan_and_preprocess", ("-d", "1", "--folds", "2", "--config", "2d", "-np", "0")),
    Command(
        "train",
        "train",
        ("1", "0", "--config", "2d", "--iterations", "3", "-np", "0"),
        before=("plan",),
        again=_continued,
    ),
    Command("predict", "predict", ("-d", "1", "-i", "scans", "-o", "out"), before=("plan", "train")),
    Command(
        "crossval",
        "crossval",
        ("1", "--config", "2d", "--models", "mednca", "--folds", "0", "--iterations", "3", "-np", "0"),
        before=("plan",),
    ),
)


def kill_often(command: Command, kills: int, seed: int) -> Killed:
    """Runs the command once undisturbed, then `kills` times with a kill and a second run."""
    rng, found = random.Random(f"{seed} {command.name}"), Killed()
    with tempfile.TemporaryDirectory() as folder:
        base, whole = Path(folder) / "base", Path(folder) / "whole" / "w"
        _write_base(base, command)
        shutil.copytree(base, whole)
        started = time.monotonic()
        _finish(_start(command.module, command.arguments, whole), whole)
        took_s = time.monotonic() - started
        expected = results(whole)
        for number in range(kills):
            root = Path(folder) / str(number) / "w"
            shutil.copytree(base, root)
            process = _start(command.module, command.arguments, root)
            time.sleep(rng.uniform(0, took_s))
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGKILL)
            if process.wait() == 0:
                found.finished += 1
            else:
                found.killed += 1
            found.problems += [f"{command.name} {number}: {problem}" for problem in half_written(root)]
            code = _start(command.module, command.again(root, command.arguments), root).wait()
            if code:
                found.problems.append(f"{command.name} {number}: the second run ended with {code}: {_log(root)}")
            else:
                differing = difference(expected, results(root))
                found.problems += [f"{command.name} {number}: {one}" for one in differing]
            found.left += sum(_is_temporary(file) for file in root.rglob("*"))
            shutil.rmtree(root.parent)
    return found


def _write_base(root: Path, command: Command) -> None:
    """A workspace in which everything is done that comes before the command."""
    from mednca_pipeline.phantom import write_phantom_dataset

    raw = write_phantom_dataset(root / "raw" / DATASET, n_train=4, n_test=3, size=SIZE)
    shutil.copytree(raw / "imagesTs", root / "scans")
    shutil.copytree(raw / "labelsTs", root / "masks")
    for file in (root / "scans").iterdir():
        file.rename(file.with_name(file.name.replace("_0000", "")))
    for earlier in COMMANDS:
        if earlier.name in command.before:
            _finish(_start(earlier.module, earlier.arguments, root), root)


def _start(module: str, arguments: tuple[str, ...], root: Path) -> subprocess.Popen[bytes]:
    """Begins a command in a process group of its own, in `root`."""
    command = [sys.executable, "-m", f"mednca_pipeline.cli.{module}", *arguments, "--root", str(root)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (root / "output.log").open("wb") as output:
        return subprocess.Popen(
            command, cwd=root, stdout=output, stderr=output, start_new_session=True, env=environment
        )


def _finish(process: subprocess.Popen[bytes], root: Path) -> None:
    if code := process.wait():
        raise RuntimeError(f"an undisturbed run ended with {code}: {_log(root)}")


def _log(root: Path) -> str:
    return (root / "output.log").read_text(encoding="utf-8", errors="replace")[-600:]


def _is_temporary(file: Path) -> bool:
    return file.name.startswith(".") and file.name != ".lock"


def _files(root: Path) -> list[Path]:
    inputs = {"scans", "masks"}
    files = (file for file in sorted(root.rglob("*")) if file.is_file() and not file.name.startswith("."))
    visible = (file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts))
    return [file for file in visible if file.relative_to(root).parts[0] not in inputs]


def half_written(root: Path) -> list[str]:
    """What cannot be read of the files of a workspace."""
    problems = []
    for file in _files(root):
        try:
            content_of(file)
        except Exception as error:
            problems.append(f"{file.relative_to(root)} cannot be read: {type(error).__name__}: {error}")
    return problems


def results(root: Path) -> dict[str, Any]:
    """Per file its content, without what is measured."""
    return {str(file.relative_to(root)): content_of(file) for file in _files(root) if not file.name.endswith(IGNORED)}


def difference(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    missing = [f"{name} is missing" for name in expected if name not in found]
    more = [f"{name} is there as well" for name in found if name not in expected]
    return [
        *missing,
        *more,
        *(f"{name} differs" for name in expected if found.get(name, expected[name]) != expected[name]),
    ]


def content_of(file: Path) -> Any:
    """What a file holds, comparable; raises where it is damaged."""
    if file.suffix == ".json":
        return _without_measured(json.loads(file.read_text(encoding="utf-8")))
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as stream:
            return [_without_measured(row) for row in csv.DictReader(stream)]
    if file.suffix == ".b2nd":
        import blosc2

        array = blosc2.open(str(file), mode="r")[:]
        return array.shape, np.ascontiguousarray(array).tobytes()
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes())
    if file.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return {name: array.tobytes() for name, array in load_file(file).items()}
    if file.suffix == ".pt":
        import torch

        torch.load(file, weights_only=True)
        return None
    return file.read_bytes()


def _without_measured(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if not any(part in (key or "") for part in MEASURED)}
        return {key: _without_measured(one) for key, one in kept.items()}
    return [_without_measured(one) for one in value] if isinstance(value, list) else value


def kill_all(kills: int, seed: int, only: str = "") -> dict[str, Killed]:
    """Per command how its kills ended. Two commands run side by side, one thread each."""
    chosen = [each for each in COMMANDS if only in each.name]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda command: kill_often(command, kills, seed), chosen)
        return dict(zip((each.name for each in chosen), found, strict=True))


def table(found: dict[str, Killed]) -> str:
    lines = ["| command | killed | ended before the kill | different or half-written | temporary files left |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, one in found.items():
        lines.append(f"| {name} | {one.killed} | {one.finished} | {len(one.problems)} | {one.left} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="of each command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="commands whose name contains this")
    arguments = parser.parse_args()
    found = kill_all(arguments.kills, arguments.seed, arguments.only)
    print(table(found))
    problems = [problem for one in found.values() for problem in one.problems]
    for problem in problems[:40]:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
