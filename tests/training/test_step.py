import math

import numpy as np
import torch

from mednca_pipeline.models.protocol import Output
from mednca_pipeline.plans.model_plans import TrainingPlan
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.training.batches import Batch
from mednca_pipeline.training.state import new_state
from mednca_pipeline.training.step import train_step


class Root(torch.nn.Linear):
    """Its loss is the root of 0: 0, with an infinite slope, and its gradient 0 * infinity."""

    sigmoid = True

    def forward(self, image, origin, generator):
        return [Output((self.weight * 0).sum().sqrt(), lambda known: known)], 0.0


def test_a_gradient_that_is_not_finite_moves_no_weight():
    plan = TrainingPlan("adam", 0.1, 1, 0.9, {})
    state = new_state(Root(2, 1), plan, 10)
    before = [parameter.clone() for parameter in state.model.parameters()]
    batch = Batch(np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 2, 2), np.int16), np.zeros((1, 2), np.int64))
    labels = Labels(("organ",), ((1,),))
    loss, _ = train_step(state, batch, plan, labels, torch.Generator(), lambda logits, *_, **__: logits)
    assert math.isnan(loss)
    assert all(torch.equal(old, new) for old, new in zip(before, state.model.parameters(), strict=True))
