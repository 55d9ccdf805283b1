"""The rule of one cell: it perceives its neighbourhood, and a hidden layer and a linear layer make its update.

Source: Mordvintsev et al., Growing Neural Cellular Automata, 2020; Kalkhof et al., Med-NCA, 2023, section 2.
A cell reads its 3^dim neighbourhood and nothing else: any normalisation is over the hidden units of one cell.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..plans.model_plans import Perception
from ..runtime.grid import Border
from ..runtime.light_nca import NormKind

Convolution = nn.Conv2d | nn.Conv3d

CONVOLUTIONS: dict[int, type[Convolution]] = {2: nn.Conv2d, 3: nn.Conv3d}
FUNCTIONAL_CONVOLUTIONS = {2: F.conv2d, 3: F.conv3d}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
UPDATE_INIT_SD = 0.003  # an untrained NCA changes its state slowly


class CellForm(NamedTuple):
    """How a cell is built.

    perception: "matrix" is one linear map of the neighbourhood to the hidden units; "paper" concatenates the state
        with two dense filter banks and mixes them (Med-NCA as published).
    norm: over the hidden units of each cell, or "none".
    border: what a cell at the border sees beyond it.
    """

    perception: Perception
    norm: NormKind
    border: Border


class Cell(nn.Module):
    """Maps a state (B, C, *spatial) to its update (B, C, *spatial), which is zero in the `fixed` image channels."""

    def __init__(self, dim: int, channels: int, hidden: int, fixed: int, form: CellForm) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[dim]
        self.dim, self.fixed, self.border = dim, fixed, form.border
        self.banks: nn.ModuleList | None = None
        self.hidden: Convolution
        if form.perception == "paper":
            self.banks = nn.ModuleList(convolution(channels, channels, 3) for _ in range(2))
            self.hidden = convolution(3 * channels, hidden, 1)
            updated = channels  # the published layer also has rows for the image channel, which never change it
        else:
            self.hidden = convolution(channels, hidden, 3, bias=form.norm == "none")
            updated = channels - fixed
        norms = {"none": nn.Identity, "layer": _PerCellLayerNorm, "rms": _PerCellRMSNorm}
        self.norm: nn.Module = norms[form.norm](hidden)
        self.update = nn.Linear(hidden, updated, bias=False)
        nn.init.normal_(self.update.weight, std=UPDATE_INIT_SD)

    @property
    def filter_banks(self) -> tuple[Convolution, ...]:
        """The two filter banks of perception "paper"; else ()."""
        return tuple(cast(Convolution, bank) for bank in self.banks or ())

    def full_update_weight(self) -> Tensor:
        """The update's weight (C, hidden) with zero rows for the image channels. All steps share it."""
        rows = self.update.weight if self.banks is None else self.update.weight[self.fixed :]
        return F.pad(rows, (0, 0, self.fixed, 0))

    def forward(self, state: Tensor, update_weight: Tensor | None = None) -> Tensor:
        convolve = FUNCTIONAL_CONVOLUTIONS[self.dim]
        seen = state
        if self.border == "zeros":
            padding = 1
        else:
            seen, padding = F.pad(state, (1, 1) * self.dim, mode=self.border), 0
        if self.banks is not None:
            filtered = [convolve(seen, bank.weight, bank.bias, padding=padding) for bank in self.filter_banks]
            hidden = self.hidden(torch.cat([state, *filtered], dim=1))
        else:
            hidden = convolve(seen, self.hidden.weight, self.hidden.bias, padding=padding)
        hidden = F.relu(self.norm(hidden))
        weight = self.full_update_weight() if update_weight is None else update_weight
        return F.linear(hidden.movedim(1, -1), weight).movedim(-1, 1)  # a 1x1 convolution, as a matrix product


class _PerCellLayerNorm(nn.LayerNorm):
    """LayerNorm over dimension 1 of (B, H, *spatial), each cell by itself."""

    def forward(self, hidden: Tensor) -> Tensor:
        return super().forward(hidden.movedim(1, -1)).movedim(-1, 1)


class _PerCellRMSNorm(nn.Module):
    """x / rms(x) * gain + bias over dimension 1 of (B, H, *spatial), each cell by itself."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))

    def forward(self, hidden: Tensor) -> Tensor:
        last = hidden.movedim(1, -1)
        return (F.rms_norm(last, last.shape[-1:], self.weight, 1e-6) + self.bias).movedim(-1, 1)


def run_steps(cell: Cell, state: Tensor, fired: Tensor | None, steps: int, share: float = 1.0) -> Tensor:
    """Runs `steps` steps from `state` (B, C, *spatial).

    fired: bool (steps, B, 1, *spatial), the cells that update in each step, or None when all cells do.
    share: of its update that such a cell applies.
    """
    weight = cell.full_update_weight() * share
    for step in range(steps):
        update = cell(state, weight)
        state = state + (update if fired is None else update * fired[step])
    return state
