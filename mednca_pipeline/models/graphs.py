"""A level's steps as CUDA graphs, on a GPU.

A step of a small network is over before Python could launch the next kernel. So the kernels of all steps of a level,
forward and backward, are recorded once and then started together.
"""

import logging
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from .dense import autocast_dtype
from .nca import Cell
from .steps import run_steps

log = logging.getLogger(__name__)


class GraphedSteps:
    """`run_steps` for training, recorded at the first call with tensors of a shape and type.

    A recording under autocast is separate. A copy of this object begins without recordings.
    """

    def __init__(self) -> None:
        self.recorded: dict[tuple[object, ...], Callable[..., Tensor]] = {}

    def __call__(
        self, cell: Cell, state: Tensor, fired: Tensor | None, steps: int, keep_every: int = 0, share: float = 1.0
    ) -> Tensor:
        types = (state.dtype, autocast_dtype(state))
        key = (id(cell), tuple(state.shape), *types, state.requires_grad, fired is None, steps, keep_every, share)
        if key not in self.recorded:
            self.recorded[key] = recorded(_Steps(cell, steps, keep_every, share, types[1]), state, fired)
        return self.recorded[key](state) if fired is None else self.recorded[key](state, fired)

    def __deepcopy__(self, memo: dict[int, object]) -> "GraphedSteps":
        return GraphedSteps()


class _Steps(nn.Module):
    def __init__(self, cell: Cell, steps: int, keep_every: int, share: float, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.cell, self.steps, self.keep_every, self.share, self.dtype = cell, steps, keep_every, share, dtype

    def forward(self, state: Tensor, fired: Tensor | None = None) -> Tensor:
        # A graph that used autocast's cache of converted weights would keep the present weights for ever.
        with torch.autocast(state.device.type, self.dtype, enabled=self.dtype is not None, cache_enabled=False):
            return run_steps(self.cell, state, fired, self.steps, self.keep_every, self.share)


def recorded(module: nn.Module, state: Tensor, fired: Tensor | None) -> Callable[..., Tensor]:
    """`module` with its kernels recorded for tensors like these, or `module` itself where recording fails."""
    samples = (state.detach().clone().requires_grad_(state.requires_grad), *(() if fired is None else (fired.clone(),)))
    try:
        with torch.autocast(state.device.type, enabled=False):
            return cast(
                Callable[..., Tensor], torch.cuda.make_graphed_callables(module, samples, allow_unused_input=True)
            )
    except RuntimeError as error:
        log.warning("No CUDA graph of a level's steps (%s): they are launched one by one, more slowly.", error)
        return module
