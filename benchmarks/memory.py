"""The planner's memory model against the measured peak of training steps.

    python -m benchmarks.memory --root WORKSPACE -d 4 12 20 21

Every model and configuration of each planned and preprocessed dataset runs a few training steps in a process of its
own. Its peak resident memory, less what the process held before, is compared with what the planner expected.
Writes results/benchmarks/memory.json and memory.md.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from mednca_pipeline.cli.common import wait_briefly

STEPS = 2  # the second finds the optimiser's moments there
OUT = Path(__file__).parents[1] / "results" / "benchmarks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="workspace with the planned and preprocessed datasets")
    parser.add_argument("-d", nargs="+", required=True, help="datasets")
    parser.add_argument("--models", nargs="+", default=["mednca", "mednca_paper", "unet_small", "unet"])
    parser.add_argument("--configs", nargs="+", default=["2d", "3d"])
    parser.add_argument("--skip", nargs="+", default=[], metavar="MODEL_CONFIG", help="such as mednca_paper_3d, slow")
    parser.add_argument("--child", nargs=2, metavar=("MODEL", "CONFIG"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.root, arguments.d[0], *arguments.child)))
        return
    from mednca_pipeline.evaluation.provenance import provenance
    from mednca_pipeline.planning.plans import read_plans
    from mednca_pipeline.workspace import Workspace
    from mednca_runtime.files import write_json, write_text

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
        "| dataset | model | batch | expected MB | measured MB | expected / measured |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        expected, measured = row["expected_bytes"] / 1e6, row["measured_bytes"] / 1e6
        lines.append(
            f"| {row['dataset']} | {row['model']}_{row['config']} | {row['batch']} | {expected:.0f} | {measured:.0f} "
            f"| {expected / measured:.2f} |"
        )
    return "\n".join(lines)


def measure(root: str, dataset: str, model: str, config: str) -> dict:
    """Peak growth of this process over a few training steps, and what the planner expected."""
    wait_briefly()
    import torch

    from mednca_pipeline.device import peak_memory_bytes
    from mednca_pipeline.models.registry import build_model, count_parameters
    from mednca_pipeline.training.batches import make_batch
    from mednca_pipeline.training.job import prepare
    from mednca_pipeline.training.loop import mask_generator
    from mednca_pipeline.training.options import TrainingOptions
    from mednca_pipeline.training.state import new_state
    from mednca_pipeline.training.step import train_step
    from mednca_pipeline.workspace import Workspace

    job = prepare(Workspace(Path(root).resolve()), TrainingOptions(dataset, 0, model, config, device="cpu", force=True))
    batches = [make_batch(job.recipe, index) for index in range(STEPS)]
    network = build_model(model, job.plans, config)  # imports MONAI for a UNet
    held = peak_memory_bytes(job.device)
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
        "expected_bytes": expected_bytes(job, count_parameters(state.model)),
        "measured_bytes": peak_memory_bytes(job.device) - held,
        "held_bytes": held,
    }


def expected_bytes(job, n_parameters: int) -> int:
    from mednca_pipeline.planning.memory import nca_step_bytes, unet_step_bytes
    from mednca_pipeline.planning.plans import NCAPlan

    plan, labels = job.plan, job.plans.labels
    n_image, batch = job.plans.input_channels(plan), plan.training.batch_size
    if isinstance(plan, NCAPlan):
        outputs = n_image, labels.n_outputs
        return nca_step_bytes(
            plan.levels, job.recipe.image_size, *outputs, plan.channels, plan.hidden, plan.perception, batch
        )
    return unet_step_bytes(plan.patch, plan.strides, plan.features, n_image, labels.n_outputs, n_parameters, batch)


if __name__ == "__main__":
    main()
