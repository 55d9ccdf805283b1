"""A training step: ours against the authors', autograd over the plain step, and a plain matrix product.

    python -m benchmarks.training [--threads N] [--device cpu|cuda] [--rounds N]

The published network with a batch of 48 (level /4 on whole 64x64 images, level /1 on 16x16 patches, 16 steps each; on a
GPU also 64 each), and the planned hippocampus network (2d, mednca). Loss and gradients as training computes
them; of the planned network also whole iterations, with clipping, optimiser and moving average.
Writes results/benchmarks/training.json and training.md (training_cuda on a GPU, with the peak memory).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from mednca_pipeline.models import nca
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.registry import build_model, read_plans
from mednca_pipeline.plans.model_plans import NCAPlan
from mednca_pipeline.training.batches import Batch
from mednca_pipeline.training.losses import dice_and_cross_entropy
from mednca_pipeline.training.state import new_state
from mednca_pipeline.training.step import train_step, weighted_loss

from . import timing
from .authors import IMAGE_SIZE, AuthorsMedNCA, published, with_weights_of
from .timing import OURS, PRODUCT, Work

PLANS = Path(__file__).parents[1] / "plans" / "reference" / "Dataset004_Hippocampus" / "plans.json"
BATCH = 48
AIMS = {("cpu", 16): "1.8", ("cuda", 64): "10"}  # of the published network, by device and steps
NOTES = """\
"authors" is their step as they run it, "plain" autograd over the definition (nca.run_steps); all have the same loss at
every level. GFLOP/s counts firing cells only, and the fixed channels (image, position) once per level: of a level's
cell 3 (forward, and two products backward) * fire_rate * steps * 2 * (9 + 1) * (C - fixed) * hidden, and 2 (forward,
and the weights' gradient) * 2 * 9 * fixed * hidden, with the perception folded into one matrix. The matrix product is
(cells of the finest level, 9*C) @ (9*C, hidden). On a GPU all is in bfloat16 but the authors'."""


@dataclass(frozen=True)
class Samples:
    """image: (B, n_image, *spatial). origin: (B, dim) on the CPU. targets: (B, n_outputs, *spatial)."""

    image: Tensor
    origin: Tensor
    targets: Tensor


def main() -> None:
    arguments = timing.options(__doc__, rounds=20).parse_args()
    device = timing.begin(arguments)
    records, figures = [], []
    for steps in (16,) if device.type == "cpu" else (16, 64):
        name = f"published network, batch {BATCH}, {steps}+{steps} steps"
        records.append(timing.measure(name, published_works(steps, device), arguments.rounds, device))
        ratio, aim = records[-1]["work"]["authors"]["over_ours"], AIMS.get((device.type, steps), "")
        figures.append(timing.figure(f"{name}: authors / ours", ratio, "x", aim))
    for name, works, aim in (
        ("planned hippocampus network, loss and gradients", planned_works(device), "1.3"),
        ("planned hippocampus network, whole iteration", planned_iterations(device), ""),
    ):
        records.append(timing.measure(name, works, arguments.rounds, device))
        ratio = records[-1]["work"]["plain"]["over_ours"]
        figures.append(timing.figure(f"{name}: plain / ours", ratio, "x", aim if device.type == "cpu" else ""))
    timing.record("training", figures, records, NOTES, device)


def published_works(steps: int, device: torch.device) -> dict[str, Work]:
    plan = published(steps)
    model = MedNCA(plan, 2, n_image_channels=1, n_outputs=1, sigmoid=True).to(device)
    authors, samples = with_weights_of(model), random_samples(model, BATCH, IMAGE_SIZE, device)
    flops = training_flops(plan, model.n_image, IMAGE_SIZE, BATCH)
    return {
        "authors": Work(lambda: loss_and_gradients(authors, samples, mixed=False), flops),
        OURS: Work(lambda: loss_and_gradients(model, samples), flops),
        PRODUCT: finest_product(plan, IMAGE_SIZE, BATCH, device),
    }


def planned_works(device: torch.device) -> dict[str, Work]:
    plans = read_plans(PLANS)
    plan, image_size = plans.config("2d").models["mednca"], plans.config("2d").image_size
    model, batch = build_model("mednca", plans, "2d").to(device), plan.training.batch_size
    samples = random_samples(model, batch, image_size, device)
    flops = training_flops(plan, model.n_image, image_size, batch)

    def plain() -> None:
        with plain_steps(model):
            loss_and_gradients(model, samples)

    return {
        "plain": Work(plain, flops),
        OURS: Work(lambda: loss_and_gradients(model, samples), flops),
        PRODUCT: finest_product(plan, image_size, batch, device),
    }


def planned_iterations(device: torch.device) -> dict[str, Work]:
    """Whole iterations of the planned network; its learning rate is next to nothing, so that it stays what it is."""
    plans = read_plans(PLANS)
    chosen = plans.config("2d")
    training = replace(chosen.models["mednca"].training, learning_rate=1e-9)
    size, rng = (training.batch_size, *chosen.image_size), np.random.default_rng(0)
    batch = Batch(
        rng.standard_normal((size[0], plans.input_channels(chosen.models["mednca"]), *size[1:]), np.float32),
        rng.integers(0, len(plans.labels.names) + 1, size, np.int16),
        random_origin(chosen.models["mednca"], size[0], chosen.image_size).numpy(),
    )
    states = [new_state(build_model("mednca", plans, "2d").to(device), training, 10**6) for _ in range(2)]
    generator = torch.Generator(device)

    def plain() -> None:
        with plain_steps(states[0].model):
            train_step(states[0], batch, training, plans.labels, generator)

    return {
        "plain": Work(plain),
        OURS: Work(lambda: train_step(states[1], batch, training, plans.labels, generator)),
    }


def loss_and_gradients(model: MedNCA | AuthorsMedNCA, samples: Samples, mixed: bool | None = None) -> None:
    """As train_step computes them. mixed: bfloat16 where it helps; None: on a GPU, as train_step does."""
    device = samples.image.device
    mixed = device.type == "cuda" if mixed is None else mixed
    model.zero_grad(set_to_none=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        outputs, _ = model(samples.image, samples.origin, torch.Generator(device))
        loss = weighted_loss(outputs, samples.targets, None, model.sigmoid, dice_and_cross_entropy)
    loss.backward()


def random_samples(model: MedNCA, batch: int, image_size: tuple[int, ...], device: torch.device) -> Samples:
    targets = torch.rand(batch, model.n_outputs, *image_size, device=device) < 0.3
    image = torch.rand(batch, model.n_image, *image_size, device=device)
    return Samples(image, random_origin(model.plan, batch, image_size), targets.float())


def random_origin(plan: NCAPlan, batch: int, image_size: tuple[int, ...]) -> Tensor:
    """(B, dim): first voxels of patches inside the image, multiples of the coarsest factor."""
    patch = plan.levels[-1].patch or image_size
    sides = zip(image_size, patch, plan.levels[0].factor, strict=True)
    return torch.stack([torch.randint((size - side) // f + 1, (batch,)) * f for size, side, f in sides], dim=1)


def training_grids(plan: NCAPlan, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
    """What a sample shows each level, in its own cells."""
    whole = [tuple(size // f for size, f in zip(image_size, level.factor, strict=True)) for level in plan.levels]
    return [level.patch or grid for level, grid in zip(plan.levels, whole, strict=True)]


def training_flops(plan: NCAPlan, n_image: int, image_size: tuple[int, ...], batch: int) -> float:
    return timing.firing_flops(plan, n_image, training_grids(plan, image_size), batch, training=True)


def finest_product(plan: NCAPlan, image_size: tuple[int, ...], batch: int, device: torch.device) -> Work:
    cells = batch * int(np.prod(training_grids(plan, image_size)[-1]))
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return timing.matrix_product(cells, 9 * plan.channels, plan.hidden, device, dtype)


@contextmanager
def plain_steps(model: MedNCA) -> Iterator[None]:
    """Meanwhile `model` runs the plain definition, whatever else it tells a backend, and records no CUDA graphs."""
    ran = []

    def run_plain(cell: nca.Cell, state: Tensor, fired: Tensor | None, steps: int, *_, **__) -> Tensor:
        ran.append(steps)
        return nca.run_steps(cell, state, fired, steps)

    on_cpu = mock.patch("mednca_pipeline.models.mednca.run_steps", run_plain)
    with on_cpu, mock.patch.object(model, "graphed_steps", run_plain):
        yield
    if not ran:
        raise RuntimeError("MedNCA calls its backend by another name: what was measured is not the plain step")


if __name__ == "__main__":
    main()
