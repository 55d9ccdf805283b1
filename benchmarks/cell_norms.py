"""What the normalisation of the hidden units costs: a training step of the cell, relative to one without any.

python -m benchmarks.cell_norms [--threads N] [--device cpu|cuda] [--rounds N]
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from mednca_pipeline.models.nca import CHANNELS_LAST, Cell, CellForm, run_steps

from . import timing

BATCH, CHANNELS, HIDDEN, SIZE, STEPS = 8, 16, 64, (48, 64), 6


class ComposedRMS(nn.Module):
    """RMS norm over dimension 1 from elementwise operations."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(HIDDEN, 1, 1)), nn.Parameter(torch.zeros(HIDDEN, 1, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * torch.rsqrt(hidden.square().mean(1, keepdim=True) + 1e-6) * self.gain + self.bias


def main() -> None:
    arguments = timing.options(__doc__, rounds=22).parse_args()
    device = timing.begin(arguments)
    steps = {name: training_step(cell, device) for name, cell in cells().items()}
    seconds = timing.interleaved(steps, arguments.rounds, device)
    for name, values in seconds.items():
        more = np.median(values / seconds["none"]) - 1
        print(f"{name:<38} {np.median(values) * 1e3:6.1f} ms  {more:+5.0%}")


def cells() -> dict[str, Cell]:
    made = {
        "none": "none",
        "layer norm": "layer",
        "RMS norm (torch.nn.functional)": "rms",
    }
    built = {name: Cell(2, CHANNELS, HIDDEN, 1, CellForm("matrix", norm, "replicate")) for name, norm in made.items()}
    composed = Cell(2, CHANNELS, HIDDEN, 1, CellForm("matrix", "none", "replicate"))
    composed.norm = ComposedRMS()
    return built | {"RMS norm of elementwise operations": composed}


def training_step(cell: Cell, device: torch.device) -> Callable[[], None]:
    cell.to(device, memory_format=CHANNELS_LAST[2])
    state = torch.randn(BATCH, CHANNELS, *SIZE, device=device).contiguous(memory_format=CHANNELS_LAST[2])
    fired = torch.rand(STEPS, BATCH, 1, *SIZE, device=device) < 0.75

    def step() -> None:
        cell.zero_grad(set_to_none=True)
        run_steps(cell, state, fired, STEPS).square().mean().backward()

    return step


if __name__ == "__main__":
    main()
