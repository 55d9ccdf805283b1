"""What the normalisation of the hidden units costs: a training step of the cell, relative to one without any.

    python benchmarks/cell_norms.py [--threads N]

Each form is timed in turn, again and again, so that a busy machine slows all of them alike; medians are compared.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mednca_pipeline.models.nca import CHANNELS_LAST, Cell, run_steps

BATCH, CHANNELS, HIDDEN, SIZE, STEPS, ROUNDS = 8, 16, 64, (48, 64), 6, 25


class ComposedRMS(nn.Module):
    """RMS norm over dimension 1 from elementwise operations."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(HIDDEN, 1, 1)), nn.Parameter(torch.zeros(HIDDEN, 1, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * torch.rsqrt(hidden.square().mean(1, keepdim=True) + 1e-6) * self.gain + self.bias


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads that compute (default: 2)")
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    steps = {name: training_step(cell) for name, cell in cells().items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[3:]) for name, values in seconds.items()}
    for name, median in medians.items():
        more = median / medians["none"] - 1
        print(f"{name:<38} {median * 1e3:6.1f} ms  {more:+5.0%}")


def cells() -> dict[str, Cell]:
    made = {
        "none": "none",
        "layer norm": "layer",
        "RMS norm (torch.nn.functional)": "rms",
    }
    built = {
        name: Cell(2, CHANNELS, HIDDEN, 1, perception="matrix", norm=norm, border="replicate")
        for name, norm in made.items()
    }
    composed = Cell(2, CHANNELS, HIDDEN, 1, perception="matrix", norm="none", border="replicate")
    composed.norm = ComposedRMS()
    return built | {"RMS norm of elementwise operations": composed}


def training_step(cell: Cell) -> Callable[[], None]:
    cell.to(memory_format=CHANNELS_LAST[2])
    state = torch.randn(BATCH, CHANNELS, *SIZE).contiguous(memory_format=CHANNELS_LAST[2])
    fired = torch.rand(STEPS, BATCH, 1, *SIZE) < 0.75

    def step() -> None:
        cell.zero_grad(set_to_none=True)
        run_steps(cell, state, fired, STEPS).square().mean().backward()

    return step


if __name__ == "__main__":
    main()
