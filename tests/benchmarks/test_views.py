"""What a network that sees several views of a volume is told."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.recipe.view_networks import ALL, ORDERS, told
from mednca_pipeline.runtime.position import position_channels

SHAPE, TYPICAL = (2, 4, 6), (2.0, 4.0, 6.0)  # along z, y, x


@pytest.mark.parametrize("name", ALL)
def test_a_voxel_is_told_the_same_place_in_every_view(name):
    order = ORDERS[name]
    shape, typical = [SHAPE[axis] for axis in order], [TYPICAL[axis] for axis in order]
    position = position_channels(shape, [(0, side) for side in shape], typical)  # (3, S, H, W)
    view = SimpleNamespace(name=name, preprocessing=SimpleNamespace(axis_order=order))
    channels = told(np.concatenate([np.full((1, *shape), 7.0, np.float32), position]), view)
    assert channels.shape == (7, *shape)
    assert (channels[0] == 7).all()
    back = channels.transpose(0, *(1 + axis for axis in np.argsort(order)))  # (7, z, y, x)
    assert back[1:4, 0, 1, 4].tolist() == pytest.approx([-1 / 2, -1 / 4, 3 / 6])
    assert channels[4:].mean((1, 2, 3)).tolist() == [float(other == name) for other in ALL]
