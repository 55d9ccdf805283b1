"""Dice + cross-entropy by hand, ignore, regions."""

import math

import pytest
import torch

from mednca_pipeline.models.protocol import Output
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.training.losses import dice_and_cross_entropy, encode_targets
from mednca_pipeline.training.step import weighted_loss

CLASSES = Labels(("front", "back"), ((1,), (2,)))
REGIONS = Labels(("whole", "core"), ((1, 2), (2,)), (1, 2))
IGNORING = Labels(("front",), ((1,),), ignore=2)


def test_classes_and_regions_are_encoded():
    labels = torch.tensor([[[0, 1], [2, 2]]])
    targets, weights = encode_targets(labels, CLASSES)
    assert weights is None
    assert targets[0].tolist() == [[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 1]]]
    assert encode_targets(labels, REGIONS)[0][0].tolist() == [[[0, 1], [1, 1]], [[0, 0], [1, 1]]]


def test_uniform_softmax_by_hand():
    """Two cells, one of them foreground, probabilities 0.5: cross-entropy ln 2, Dice 2 * 0.5 / (1 + 1)."""
    targets, _ = encode_targets(torch.tensor([[[0, 1]]]), Labels(("front",), ((1,),)))
    loss = dice_and_cross_entropy(torch.zeros(1, 2, 1, 2), targets, None, sigmoid=False)
    assert loss.item() == pytest.approx(math.log(2) + 1 - 0.5, abs=1e-4)


def test_sigmoid_by_hand():
    targets = torch.tensor([[[[1.0, 0.0]]]])
    loss = dice_and_cross_entropy(torch.zeros(1, 1, 1, 2), targets, None, sigmoid=True)
    assert loss.item() == pytest.approx(math.log(2) + 1 - 0.5, abs=1e-4)


def test_a_perfect_answer_costs_nothing():
    targets, _ = encode_targets(torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0)), CLASSES)
    assert dice_and_cross_entropy((targets - 0.5) * 60, targets, None, sigmoid=False).item() < 1e-3


def test_ignored_voxels_change_nothing():
    labels = torch.tensor([[[0, 1, 2, 2]]])
    targets, weights = encode_targets(labels, IGNORING)
    assert weights.tolist() == [[[[1, 1, 0, 0]]]]
    logits = torch.randn(1, 2, 1, 4, generator=torch.Generator().manual_seed(0))
    other = logits.clone()
    other[..., 2:] += 5
    losses = [dice_and_cross_entropy(item, targets, weights, sigmoid=False) for item in (logits, other)]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)
    seen = dice_and_cross_entropy(logits[..., :2], targets[..., :2], None, sigmoid=False)
    assert losses[0].item() == pytest.approx(seen.item(), abs=1e-5)


def test_an_output_that_the_batch_shows_nowhere_has_no_dice():
    """Two cells of "front", none of "back"; uniform answer: cross-entropy ln 3, Dice of "front" 2 * 2/3 / (2/3 + 2)."""
    targets, _ = encode_targets(torch.tensor([[[1, 1]]]), CLASSES)
    loss = dice_and_cross_entropy(torch.zeros(1, 3, 1, 2), targets, None, sigmoid=False)
    assert loss.item() == pytest.approx(math.log(3) + 1 - 0.5, abs=1e-4)


def test_each_output_counts_its_share():
    targets, _ = encode_targets(torch.tensor([[[0, 1]]]), Labels(("front",), ((1,),)))
    logits = [scale * torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]]) for scale in (3.0, 0.0, -2.0)]
    outputs = [Output(one, lambda known: known, share) for one, share in zip(logits, (1, 2, 4), strict=True)]
    loss = weighted_loss(outputs, targets, None, False, dice_and_cross_entropy)
    each = [dice_and_cross_entropy(one, targets, None, sigmoid=False).item() for one in logits]
    assert loss.item() == pytest.approx(each[0] / 7 + each[1] * 2 / 7 + each[2] * 4 / 7)
