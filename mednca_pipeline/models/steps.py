"""Runs a level's steps with the backend that suits the cell and the device; all compute what nca.run_steps defines."""

from torch import Tensor

from . import dense, nca
from .nca import Cell


def run_steps(cell: Cell, state: Tensor, fired: Tensor | None, steps: int) -> Tensor:
    """As nca.run_steps, but that no gradient reaches the image channels."""
    backend = dense.run_dense if state.device.type == "cpu" and dense.fits(cell) else nca.run_steps
    return backend(cell, state, fired, steps)
