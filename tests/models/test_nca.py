"""The steps of one level: what a cell reads and what changes."""

import pytest
import torch

from mednca_pipeline.models.nca import Cell, CellForm, run_steps


@pytest.mark.parametrize("perception", ["matrix", "paper"])
@pytest.mark.parametrize("dim", [2, 3])
def test_image_channels_stay_fixed_and_others_change(dim, perception):
    cell = Cell(dim, 8, 12, 2, CellForm(perception, "none", "replicate"))
    state = torch.randn(2, 8, *(5, 6, 7)[:dim])
    after = run_steps(cell, state, None, 3)
    assert torch.equal(after[:, :2], state[:, :2])
    assert not torch.equal(after[:, 2:], state[:, 2:])


@pytest.mark.parametrize("norm", ["none", "layer", "rms"])
def test_a_cell_reads_its_neighbours_and_nothing_else(norm):
    torch.manual_seed(0)
    cell = Cell(2, 6, 32, 1, CellForm("matrix", norm, "zeros"))
    torch.nn.init.normal_(cell.update.weight)
    state = torch.randn(1, 6, 9, 9)
    changed = state.clone()
    changed[0, :, 4, 4] += 1
    difference = (run_steps(cell, changed, None, 2) - run_steps(cell, state, None, 2)).abs().amax(dim=(0, 1))
    assert difference[2:7, 2:7].min() > 0  # two steps reach two cells far
    difference[2:7, 2:7] = 0
    assert difference.max() < 1e-6


def test_cells_that_do_not_fire_keep_their_state():
    cell = Cell(2, 6, 10, 1, CellForm("matrix", "layer", "replicate"))
    state, fired = torch.randn(1, 6, 8, 8), torch.rand(1, 1, 1, 8, 8) < 0.5
    after = run_steps(cell, state, fired, 1)
    still = ~fired[0].expand_as(state)
    assert torch.equal(after[still], state[still])


def test_cells_that_fire_apply_their_share_of_the_update():
    cell = Cell(2, 6, 10, 1, CellForm("matrix", "layer", "replicate")).double()
    state, fired = torch.randn(1, 6, 8, 8, dtype=torch.float64), torch.rand(1, 1, 1, 8, 8) < 0.5
    change, shared = run_steps(cell, state, fired, 1) - state, run_steps(cell, state, fired, 1, share=0.75) - state
    assert change.abs().max() > 0 and torch.allclose(shared, 0.75 * change, rtol=1e-12)
