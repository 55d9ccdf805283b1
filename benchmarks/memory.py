"""Peak memory of training steps: of many steps on a large image, and what the planner expects of planned networks.

    python -m benchmarks.memory [--threads N] [--device cpu|cuda] [--rounds N]
    python -m benchmarks.memory --root WORKSPACE -d 4 12 20 21

The first compares ours with autograd over the plain step, and with the authors' step: 64 steps of one level, 16
channels, 64 hidden units, one image of 256x256. The peak is that of a process of its own, less what it held before; the
times of all are taken interleaved. Writes results/benchmarks/memory_step.json and memory_step.md (memory_step_cuda on a
GPU).

In the second, every model and configuration of each planned and preprocessed dataset runs a few training steps in a
process of its own, set up as mednca_train is. Its peak resident memory is compared with what the planner expected: of
the steps alone, less what the process held before them, and of the process as a whole. Writes
results/benchmarks/memory.json and memory.md.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mednca_pipeline.device import peak_memory_bytes
from mednca_pipeline.models import nca_cost, unet_cost
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.planning.memory import PROCESS_BYTES
from mednca_pipeline.planning.nca_plans import leanest
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan

from . import timing
from .authors import AuthorsMedNCA
from .timing import OURS, OUT, PRODUCT, Work
from .training import PLANS, finest_product, loss_and_gradients, plain_steps, random_samples, training_flops

STEPS = 4  # the second finds the optimiser's moments there; memory that is freed and taken again grows for a while
LONG_STEPS, LARGE, N_OUTPUTS = 64, (256, 256), 2
PLAIN, ALL_KEPT = "plain", "ours, everything kept"
AUTHORS = "authors"
FORMS = (AUTHORS, PLAIN, ALL_KEPT, OURS)
NOTES = """\
A cell of 16 channels and 64 hidden units, otherwise as planned (layer norm, fire rate 0.75), one level of 64 steps on a
whole image of 256x256, batch 1, loss and gradients. "authors" is the published cell of that size as they run it,
without a norm; "plain" is autograd over the definition (nca.run_steps); "ours" keeps every k-th state and computes the
rest again, k as the planner chooses it where memory is short. Peaks are those of a fresh process, less what it held
after a small step of warming up."""


def main() -> None:
    parser = timing.options(__doc__, rounds=5)
    parser.add_argument("--root", help="workspace with the planned and preprocessed datasets")
    parser.add_argument("-d", nargs="+", help="datasets: measure their planned networks")
    parser.add_argument("--models", nargs="+", default=["mednca", "mednca_paper", "unet_small", "unet"])
    parser.add_argument("--configs", nargs="+", default=["2d", "3d"])
    parser.add_argument("--skip", nargs="+", default=[], metavar="MODEL_CONFIG", help="such as mednca_paper_3d, slow")
    parser.add_argument("--child", nargs=2, metavar=("MODEL", "CONFIG"), help=argparse.SUPPRESS)
    parser.add_argument("--child-step", choices=FORMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if bool(arguments.root) != bool(arguments.d):
        parser.error("--root and -d go together")
    if arguments.child:
        timing.begin(arguments)
        print(json.dumps(measure(arguments.root, arguments.d[0], *arguments.child)))
    elif arguments.child_step:
        print(step_peak_bytes(arguments.child_step, timing.begin(arguments)))
    elif arguments.d:
        timing.begin(arguments)
        measure_planned(arguments)
    else:
        measure_step(arguments, timing.begin(arguments))


def measure_step(arguments: argparse.Namespace, device: torch.device) -> None:
    """The peaks and times of the plain step and of ours."""
    peaks: dict[str, list[int]] = {name: [] for name in FORMS}
    for _ in range(min(3, arguments.rounds)):
        for name, found in peaks.items():
            command = [sys.executable, "-m", "benchmarks.memory", "--child-step", name, "--device", device.type]
            command += ["--threads", str(arguments.threads)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found.append(int(done.stdout.splitlines()[-1]))
    flops = training_flops(long_plan(), 1, LARGE, 1)
    works = {name: Work(long_step(name, device), flops) for name in peaks}
    works[PRODUCT] = finest_product(long_plan(), LARGE, 1, device)
    record = timing.measure("64 steps, 16 channels, 256x256", works, arguments.rounds, device)
    for name, found in peaks.items():
        record["work"][name]["process_peak_bytes"] = timing.spread(np.array(found))
    megabytes = {name: timing.spread(np.array(found) / 1e6) for name, found in peaks.items()}
    over_plain = {key: 1 / value for key, value in record["work"][PLAIN]["over_ours"].items()}
    over_plain["low"], over_plain["high"] = over_plain["high"], over_plain["low"]
    saved = {name: timing.spread(np.array(peaks[name]) / np.array(peaks[OURS])) for name in (PLAIN, AUTHORS)}
    ours = f"ours, a state kept every {planned_keep_every()} steps"
    figures = [
        timing.figure(f"peak memory of a training step: plain / {ours}", saved[PLAIN], "x", "8"),
        timing.figure("its time: ours / plain", over_plain, "x", "at most 1.35"),
        timing.figure(f"peak memory of a training step: authors / {ours}", saved[AUTHORS], "x", ""),
        *(timing.figure(f"peak memory, {name}", found, "MB", "") for name, found in megabytes.items()),
    ]
    timing.record("memory_step", figures, [record], NOTES, device)


def long_plan(steps: int = LONG_STEPS, keep_every: int = 0) -> NCAPlan:
    planned, levels = read_plans(PLANS).config("2d").models["mednca"], (LevelPlan((1, 1), steps),)
    one_channel = replace(planned, adjacent_slices=0, position=())
    return replace(one_channel, channels=16, hidden=64, levels=levels, keep_every=keep_every)


def planned_keep_every() -> int:
    """How many steps apart the planner would keep states."""
    plan = long_plan()
    plan = replace(plan, training=replace(plan.training, batch_size=1))
    return leanest(plan, lambda every: nca_cost.step_bytes(replace(plan, keep_every=every), LARGE, 1, N_OUTPUTS))


def long_step(name: str, device: torch.device, steps: int = LONG_STEPS, size: tuple = LARGE) -> Callable[[], None]:
    """A training step of one image, as `name` of FORMS does it."""
    plan = long_plan(steps, planned_keep_every() if name == OURS else 0)
    if name == AUTHORS:
        published = AuthorsMedNCA(replace(plan, perception="paper", norm="none", border="reflect"), 1, N_OUTPUTS)
        published.sigmoid = False
        published.to(device)
        samples = random_samples(published, 1, size, device)
        return lambda: loss_and_gradients(published, samples, mixed=False)
    model = MedNCA(plan, 2, n_image_channels=1, n_outputs=N_OUTPUTS, sigmoid=False).to(device)
    samples = random_samples(model, 1, size, device)

    def plain() -> None:
        with plain_steps(model):
            loss_and_gradients(model, samples)

    return plain if name == PLAIN else lambda: loss_and_gradients(model, samples)


def step_peak_bytes(name: str, device: torch.device) -> int:
    """Of this process, which has done nothing else yet."""
    long_step(name, device, steps=2, size=(32, 32))()  # libraries load what they need
    step = long_step(name, device)
    if device.type == "cuda":
        return timing.cuda_peak_bytes(step, device)
    held = held_bytes(device)
    step()
    return peak_memory_bytes(device) - held


def held_bytes(device: torch.device) -> int:
    """What the process holds now; forgets its peak so far where the system can (Linux)."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5", encoding="ascii")
    return peak_memory_bytes(device)


def measure_planned(arguments: argparse.Namespace) -> None:
    """What the planner expects of each planned network, and what it takes."""
    from mednca_pipeline.evaluation.provenance import provenance
    from mednca_pipeline.runtime.files import write_json, write_text
    from mednca_pipeline.workspace import Workspace

    workspace, rows = Workspace(Path(arguments.root).resolve()), []
    for given in arguments.d:
        dataset = workspace.resolve(given)
        planned = read_plans(workspace.plans_file(dataset)).configs
        for config in [config for config in arguments.configs if config in planned]:
            for model in [model for model in arguments.models if f"{model}_{config}" not in arguments.skip]:
                command = [sys.executable, "-m", "benchmarks.memory", "--root", arguments.root, "-d", dataset]
                done = subprocess.run(
                    [*command, "--child", model, config], capture_output=True, text=True, encoding="utf-8"
                )
                if done.returncode:
                    sys.exit(f"{dataset} {model}_{config} failed:\n{done.stderr}")
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(table(rows[-1:]).splitlines()[-1], flush=True)
    command = "python -m benchmarks.memory " + " ".join(sys.argv[1:]).replace(arguments.root, "WORKSPACE")
    write_json(OUT / "memory.json", {"command": command, **provenance(), "rows": rows})
    origin = ", ".join(f"{name} {value}" for name, value in provenance().items())
    write_text(OUT / "memory.md", f"`{command}`; {origin}\n\n{table(rows)}\n")


def table(rows: list[dict]) -> str:
    lines = [
        "| dataset | model | batch | steps: expected MB | measured MB | expected / measured | process: expected MB | "
        "measured MB | expected / measured |",
        "|---" * 9 + "|",
    ]
    for row in rows:
        expected = row["expected_bytes"] / 1e6
        pairs = [(expected, row["measured_bytes"] / 1e6), (PROCESS_BYTES / 1e6 + expected, row["process_bytes"] / 1e6)]
        compared = [f"{wished:.0f} | {measured:.0f} | {wished / measured:.2f}" for wished, measured in pairs]
        lines.append(f"| {row['dataset']} | {row['model']}_{row['config']} | {row['batch']} | {' | '.join(compared)} |")
    return "\n".join(lines)


def measure(root: str, dataset: str, model: str, config: str) -> dict:
    """Peak growth of this process over a few training steps, and what the planner expected."""
    from mednca_pipeline.models.registry import build_model
    from mednca_pipeline.training.batches import Sampler
    from mednca_pipeline.training.job import prepare
    from mednca_pipeline.training.loop import mask_generator
    from mednca_pipeline.training.options import TrainingOptions
    from mednca_pipeline.training.state import new_state
    from mednca_pipeline.training.step import train_step
    from mednca_pipeline.workspace import Workspace

    job = prepare(Workspace(Path(root).resolve()), TrainingOptions(dataset, 0, model, config, device="cpu", force=True))
    batches = [Sampler(job.recipe).batch(index) for index in range(STEPS)]
    network = build_model(model, job.plans, config)  # imports MONAI for a UNet
    held = held_bytes(job.device)
    state = new_state(network, job.plan.training, 10**6)
    for index, batch in enumerate(batches):
        generator = mask_generator(job.recipe, index, torch.device("cpu"))
        train_step(state, batch, job.plan.training, job.plans.labels, generator)
        state.iteration += 1
    return {
        "dataset": job.plans.dataset,
        "model": model,
        "config": config,
        "batch": job.plan.training.batch_size,
        "expected_bytes": expected_bytes(job),
        "measured_bytes": peak_memory_bytes(job.device) - held,
        "process_bytes": peak_memory_bytes(job.device),
        "held_bytes": held,
    }


def expected_bytes(job) -> int:
    plan, labels = job.plan, job.plans.labels
    n_image = job.plans.input_channels(plan)
    if isinstance(plan, NCAPlan):
        return nca_cost.step_bytes(plan, job.recipe.image_size, n_image, labels.n_outputs, job.device.type)
    return unet_cost.step_bytes(plan, n_image, labels.n_outputs)


if __name__ == "__main__":
    main()
