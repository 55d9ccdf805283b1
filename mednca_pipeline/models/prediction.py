"""What a Med-NCA predicts, in its plain form: the definition of what runtime/light_nca.py computes.

- Expected update: in every step each cell applies its update times the fire rate, which is the mean of what training's
  random masks do. This takes one pass and has no randomness. Random runs draw masks instead.
- Only at the outline: a level after the first computes the cells near places where the level above is not sure
  (runtime/outline.py). All other cells keep the state that they were given.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from ..runtime.outline import Outline
from .fire_masks import FireMasks
from .near_outline import near_open
from .steps import run_steps
from .windows import whole_window

if TYPE_CHECKING:
    from .mednca import MedNCA


def predict_logits(network: "MedNCA", image: Tensor, outline: Outline | None = None) -> Tensor:
    """image: (B, n_image, *spatial), whose sides are multiples of `factor` -> logits (B, n_outputs, *spatial).

    outline: which cells are computed; None computes every cell.
    """
    *_, (state,) = level_states(network, image, outline)
    return network.logits(state)


def level_states(
    network: "MedNCA", image: Tensor, outline: Outline | None = None, passes: Sequence[FireMasks | None] = (None,)
) -> Iterator[list[Tensor]]:
    """The states (B, C, *grid) of each pass at the end of each level, coarsest first.

    passes: the masks of a random run, or None for the expected update. The first pass decides which cells all passes
        compute.
    """
    coarsest = whole_window(image, network.plan.levels[0]).size
    states = [network.first_state(image, coarsest)] * len(passes)
    for index, level in enumerate(network.plan.levels):
        computed = None
        if index and outline is not None:
            near = near_open(network.logits(states[0]), network.sigmoid, outline)
            ratio = tuple(map(float, network.ratio(index)))
            computed = F.interpolate(near.float(), scale_factor=ratio, mode="nearest") > 0
        for number, fires in enumerate(passes):
            state = network.enter_level(states[number], image, index, whole_window(image, level))
            fired = None if fires is None else fires(index, level.steps, tuple(state.shape[2:]))
            if computed is not None:
                fired = computed.expand(level.steps, *computed.shape) if fired is None else fired & computed
            share = network.plan.fire_rate if fires is None else 1.0
            states[number] = run_steps(network.cell(index), state, fired, level.steps, share=share)
        yield list(states)
