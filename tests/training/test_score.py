"""The Dice of the training curve, from logits and labels that can be counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mednca_pipeline.models import mednca
from mednca_pipeline.models.prediction import predict_logits
from mednca_pipeline.models.protocol import Output
from mednca_pipeline.models.registry import build_model
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.training.batches import Batch
from mednca_pipeline.training.score import score_samples

from ..inference.tiny_model import make_plans


class Answers(torch.nn.Module):
    """A network that gives the same logits to every image."""

    def __init__(self, logits, sigmoid=False):
        super().__init__()
        self.given, self.sigmoid = torch.nn.Parameter(torch.tensor(logits, dtype=torch.float32)), sigmoid

    def scored(self, image, origin):
        return Output(self.given.expand(len(image), *self.given.shape), lambda known: known)


def score(logits, labels, definition, sigmoid=False):
    labels = np.array(labels, np.int16)[None]
    batch = Batch(np.zeros((1, 1, *labels.shape[1:]), np.float32), labels, np.zeros((1, 2), np.int64))
    return score_samples(SimpleNamespace(ema=Answers(logits, sigmoid)), batch, definition)


def test_pooled_dice_per_class_and_nan_where_a_class_is_absent():
    labels = Labels(("a", "b", "c"), ((1,), (2,), (3,)))
    logits = np.zeros((4, 2, 3))
    logits[1, 0] = 5  # "a" in the first row; background wins the ties of the second
    found = score(logits, [[1, 1, 0], [1, 2, 0]], labels)
    assert found["a"] == pytest.approx(2 * 2 / (3 + 3)) and found["b"] == 0.0 and np.isnan(found["c"])


def test_regions_overlap_and_ignored_voxels_do_not_count():
    labels = Labels(("whole", "core"), ((1, 2), (2,)), region_order=(1, 2), ignore=3)
    logits = np.full((2, 2, 3), -5.0)
    logits[0, 0] = 5
    found = score(logits, [[1, 2, 3], [1, 0, 0]], labels, sigmoid=True)
    assert found == pytest.approx({"whole": 2 * 2 / (2 + 3), "core": 0.0})


def test_an_nca_is_scored_as_it_predicts(monkeypatch):
    """By the expected update at the outline of its plan."""
    plans = make_plans()
    model, asked = build_model("mednca", plans, "2d"), []

    def record(network, image, outline):
        asked.append(outline)
        return predict_logits(network, image, outline)

    monkeypatch.setattr(mednca, "predict_logits", record)
    labels = np.zeros((2, 16, 16), np.int16)
    labels[:, 4:8, 4:8] = 1
    batch = Batch(np.zeros((2, 1, 16, 16), np.float32), labels, np.zeros((2, 2), np.int64))
    found = score_samples(SimpleNamespace(ema=model), batch, plans.labels)
    assert asked == [plans.config("2d").models["mednca"].outline] and asked[0] is not None
    assert set(found) == {"anterior", "posterior"} and np.isnan(found["posterior"])
