"""The steps of one level: ours against the authors', the plain definition, and a plain matrix product.

    python -m benchmarks.step [--threads N] [--device cpu|cuda] [--rounds N]

The published cell (32 channels, 128 hidden units, two 3x3 filter banks), 16 steps, each form drawing its own masks. For
inference without gradients; for training with the gradients of the state and of every weight.
Writes results/benchmarks/step.json and step.md (step_cuda on a GPU).
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from mednca_pipeline.models import dense, nca, steps
from mednca_pipeline.models.fire_masks import DrawnMasks, SpecifiedMasks
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.nca import CHANNELS_LAST

from . import timing
from .authors import AuthorsCell, published, with_weights_of
from .timing import OURS, PRODUCT, Work

STEPS = 16
CASES = {  # batch, grid, training
    "inference, 36 x 64x64": (36, (64, 64), False),
    "inference, 36 x 16x16": (36, (16, 16), False),
    "training, 48 x 16x16": (48, (16, 16), True),
}
NOTES = """\
16 steps of one level; masks drawn as the authors, training and prediction draw them. "plain" is the definition,
nca.run_steps; "dense" the backend that updates all cells; "ours" the one that is chosen, in training on a GPU as CUDA
graphs. GFLOP/s counts firing cells only, and the image channel once: per cell 0.5 * steps * 2 * (9 + 1) * (C - 1) *
hidden + 2 * 9 * hidden, with the perception folded into one matrix; in training three times the first and twice the
second. The matrix product is (cells, 9*C) @ (9*C, hidden).
On a GPU training is in bfloat16 but for the authors', and so is its matrix product."""


def main() -> None:
    arguments = timing.options(__doc__, rounds=20).parse_args()
    device = timing.begin(arguments)
    records = [timing.measure(name, works(*case, device), arguments.rounds, device) for name, case in CASES.items()]
    figures = [
        timing.figure(f"{record['case']}: {other} / ours", record["work"][other]["over_ours"], "x", "")
        for record in records
        for other in record["work"]
        if other not in (OURS, PRODUCT)
    ]
    timing.record("step", figures, records, NOTES, device)


def works(batch: int, grid: tuple[int, int], training: bool, device: torch.device) -> dict[str, Work]:
    model = MedNCA(published(STEPS), 2, n_image_channels=1, n_outputs=1, sigmoid=True).to(device)
    cell, authors, plan = model.cells[-1], with_weights_of(model).stages[-1], model.plan
    state = torch.randn(batch, plan.channels, *grid, device=device).contiguous(memory_format=CHANNELS_LAST[2])
    generator = torch.Generator(device)

    def masks() -> Tensor:
        if training:
            return DrawnMasks(generator, plan.fire_rate, batch, device)(1, STEPS, grid)
        return SpecifiedMasks(0, 0, plan.fire_rate, (0, batch, batch), device)(1, STEPS, grid)

    mixed = training and device.type == "cuda"
    chosen = model.training_steps(device) if training else steps.run_steps
    one_level = replace(plan, levels=plan.levels[-1:])
    flops = timing.firing_flops(one_level, model.n_image, [grid], batch, training)
    forms = {
        "authors": run(
            lambda seen: authors(seen.movedim(1, -1), STEPS).movedim(-1, 1), authors, state, training, False
        ),
        "plain": run(lambda seen: nca.run_steps(cell, seen, masks(), STEPS), cell, state, training, mixed),
        OURS: run(lambda seen: chosen(cell, seen, masks(), STEPS), cell, state, training, mixed),
    }
    if mixed or device.type == "cpu":
        forms["dense"] = run(lambda seen: dense.run_dense(cell, seen, masks(), STEPS), cell, state, training, mixed)
    product = timing.matrix_product(
        batch * grid[0] * grid[1], 9 * plan.channels, plan.hidden, device, torch.bfloat16 if mixed else torch.float32
    )
    return {name: Work(form, flops) for name, form in forms.items()} | {PRODUCT: product}


def run(
    step: Callable[[Tensor], Tensor], cell: nca.Cell | AuthorsCell, state: Tensor, training: bool, mixed: bool
) -> Callable[[], None]:
    """What is timed: `step` from `state` (B, C, H, W), with all gradients in training."""
    if not training:
        return torch.inference_mode()(lambda: step(state))
    seen = state.clone().requires_grad_()

    def forward_and_backward() -> None:
        with torch.autocast(state.device.type, torch.bfloat16, enabled=mixed):
            loss = step(seen)[:, 1:].square().mean()
        torch.autograd.grad(loss, [seen, *cell.parameters()])

    return forward_and_backward


if __name__ == "__main__":
    main()
