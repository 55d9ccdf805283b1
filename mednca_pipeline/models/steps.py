"""Runs a level's steps with the backend that suits cell and device. All backends compute what nca.run_steps defines."""

import torch
from torch import Tensor

from . import dense, nca, sparse
from .firing import computed_share
from .nca import Cell


def run_steps(
    cell: Cell, state: Tensor, fired: Tensor | None, steps: int, keep_every: int = 0, share: float = 1.0
) -> Tensor:
    """As nca.run_steps, except that no gradient reaches the image channels.

    keep_every: see dense.run_dense. The plain definition keeps what autograd keeps.
    """
    device = state.device.type
    training = torch.is_grad_enabled()
    if fired is not None and pays_sparse(fired, device) and (dense.fits(cell) or not training):
        return sparse.run_sparse(cell, state, fired, steps, keep_every, share)
    if device in ("cpu", "cuda") and dense.fits(cell):
        return dense.run_dense(cell, state, fired, steps, keep_every, share)
    return nca.run_steps(cell, state, fired, steps, share)


def pays_sparse(fired: Tensor | None, device: str) -> bool:
    """Whether few enough cells fire (measured by python -m benchmarks.step)."""
    if fired is None or device != "cpu":  # counting would wait for the GPU
        return False
    return computed_share(fired.count_nonzero().item() / fired.numel(), device) < 1
