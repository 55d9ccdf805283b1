"""Med-NCA: the published network exactly, windows, training beside inference."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.authors import published as published_plan
from mednca_pipeline.models.mednca import MedNCA
from mednca_pipeline.models.nca import run_steps
from mednca_pipeline.models.prediction import level_states, predict_logits
from mednca_pipeline.models.registry import count_parameters
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan
from mednca_pipeline.runtime.outline import Outline

TRAINING = TrainingPlan("muon", 0.02, 2, 0.99, {"cpu": 1.0})
PLAN = NCAPlan(
    channels=8,
    hidden=12,
    fire_rate=0.75,
    norm="layer",
    border="replicate",
    perception="matrix",
    levels=(LevelPlan((4, 4), 3), LevelPlan((2, 2), 2, (8, 8)), LevelPlan((1, 1), 2, (8, 8))),
    training=TRAINING,
)
PAPER = published_plan(patch=None)


@pytest.fixture(scope="module")
def published(shared_reference):
    """The published weights in our network; the authors' axes are (x, y), so their filters are transposed."""
    stored = np.load(shared_reference / "mednca_hippocampus_weights.npz")
    network = MedNCA(PAPER, 2, n_image_channels=1, n_outputs=1, sigmoid=True)
    weights = {}
    for stage in (0, 1):
        for bank in (0, 1):
            filters = torch.from_numpy(stored[f"stage{stage}.p{bank}.weight"])
            weights[f"cells.{stage}.banks.{bank}.weight"] = filters.transpose(2, 3)
            weights[f"cells.{stage}.banks.{bank}.bias"] = torch.from_numpy(stored[f"stage{stage}.p{bank}.bias"])
        weights[f"cells.{stage}.hidden.weight"] = torch.from_numpy(stored[f"stage{stage}.fc0.weight"])[..., None, None]
        weights[f"cells.{stage}.hidden.bias"] = torch.from_numpy(stored[f"stage{stage}.fc0.bias"])
        weights[f"cells.{stage}.update.weight"] = torch.from_numpy(stored[f"stage{stage}.fc1.weight"])
    network.load_state_dict(weights)
    return network


def test_published_network_has_its_70016_parameters():
    assert count_parameters(MedNCA(PAPER, 2, 1, 1, sigmoid=True)) == 70_016


def test_published_network_is_reproduced_with_its_recorded_masks(published, shared_reference):
    golden = {
        name: torch.from_numpy(array)
        for name, array in np.load(shared_reference / "mednca_hippocampus_golden.npz").items()
    }
    recorded = [golden["low_fired"], golden["high_fired"]]

    def fires(level, steps, grid):
        return recorded[level][:, :, None].bool()

    with torch.inference_mode():
        low = golden["low_input"].movedim(-1, 1)
        low = run_steps(published.cells[0], low, fires(0, 16, None), 16)
        *_, (state,) = level_states(published, golden["image"][:, None], None, [fires])
        logits = published.logits(state)
    assert (low.movedim(1, -1) - golden["low_state"]).abs().max() < 1e-4
    assert (logits[:, 0] - golden["logit"]).abs().max() < 1e-4


@pytest.mark.parametrize(("fire_rate", "expected_share"), [(1.0, 0.0), (0.75, 1.0)])
@pytest.mark.parametrize("dim", [2, 3])
def test_training_on_whole_windows_equals_inference(dim, fire_rate, expected_share):
    """The training pass without random masks is the inference pass where patches are as large as the image."""
    levels = tuple(LevelPlan((f,) * dim, 2, None) for f in (4, 2, 1))
    training = replace(TRAINING, expected_share=expected_share)
    network = MedNCA(replace(PLAN, fire_rate=fire_rate, levels=levels, training=training), dim, 2, 3, sigmoid=False)
    image = torch.randn(2, 2, *(8, 12, 16)[:dim])
    outputs, magnitude = network(image, torch.zeros(2, dim, dtype=torch.long), torch.Generator())
    assert torch.allclose(outputs[-1].logits, predict_logits(network, image), atol=1e-6)
    assert magnitude > 0 and [output.logits.shape[2] for output in outputs] == [2, 4, 8]


def test_finest_window_lies_where_the_sample_says_and_inside_the_level_above():
    network = MedNCA(dataclasses.replace(PLAN, fire_rate=1.0), 2, 1, 2, sigmoid=False)
    image = torch.randn(3, 1, 32, 40)
    origin = torch.tensor([[0, 0], [12, 20], [24, 32]])
    outputs, _ = network(image, origin, torch.Generator())
    middle, finest = outputs[1].window, outputs[2].window
    assert torch.equal(finest.start, origin)
    assert (middle.start * 2 <= origin).all() and (middle.start * 2 + 16 >= origin + 8).all()
    targets = outputs[2].targets(image)
    assert torch.equal(targets[1], image[1, :, 12:20, 20:28])
    pooled = outputs[0].targets(image)
    assert pooled[0, 0, 0, 0].item() == pytest.approx(image[0, 0, :4, :4].mean().item(), abs=1e-6)


def test_a_coarsest_level_with_a_patch_sees_its_window_of_the_image():
    """As the planner makes them for images whose coarsest grid is too large to be trained as a whole."""
    levels = (LevelPlan((4, 4), 1, (8, 8)), LevelPlan((1, 1), 1, (16, 16)))
    network = MedNCA(dataclasses.replace(PLAN, fire_rate=1.0, levels=levels), 2, 1, 2, sigmoid=False)
    image, origin = torch.randn(2, 1, 64, 64), torch.tensor([[0, 0], [40, 24]])
    outputs, _ = network(image, origin, torch.Generator())
    assert [output.logits.shape[2:] for output in outputs] == [(8, 8), (16, 16)]
    assert torch.equal(outputs[1].window.start, origin)
    assert outputs[0].window.start.tolist() == [[0, 0], [8, 4]]  # 40 / 4 - 2 would end beyond the grid's 16 cells
    whole = predict_logits(network, image)
    inside = outputs[1].logits[0, :, : 16 - 1, : 16 - 1]  # one step from the window's ends
    assert torch.allclose(inside, whole[0, :, :15, :15], atol=1e-6)


def test_patch_training_sees_the_same_inside_as_whole_image_far_from_the_patch_border():
    """Two steps carry a border two cells inwards: the rest of a patch must equal the whole image's."""
    network = MedNCA(
        dataclasses.replace(PLAN, fire_rate=1.0, levels=PLAN.levels[:1] + (LevelPlan((1, 1), 2, (16, 16)),)),
        2,
        1,
        2,
        sigmoid=False,
    )
    image = torch.randn(1, 1, 48, 48)
    outputs, _ = network(image, torch.tensor([[16, 12]]), torch.Generator())
    whole = predict_logits(network, image)
    assert torch.allclose(outputs[1].logits[..., 2:-2, 2:-2], whole[..., 18:30, 14:26], atol=1e-6)


@pytest.mark.parametrize(("perception", "norm"), [("matrix", "layer"), ("matrix", "rms"), ("paper", "none")])
def test_mixed_precision_keeps_the_state_in_float32(perception, norm):
    network = MedNCA(replace(PLAN, perception=perception, norm=norm), 2, 1, 2, sigmoid=False)
    image, origin = torch.randn(2, 1, 32, 32), torch.tensor([[0, 0], [8, 8]])
    exact, _ = network(image, origin, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = network(image, origin, torch.Generator().manual_seed(0))
    for full, half in zip(exact, mixed, strict=True):
        assert half.logits.dtype == torch.float32
        assert torch.allclose(full.logits, half.logits, atol=1e-2) and not torch.equal(full.logits, half.logits)


def test_gradients_reach_every_level():
    network = MedNCA(PLAN, 2, 1, 2, sigmoid=False)
    outputs, _ = network(torch.randn(2, 1, 32, 32), torch.tensor([[0, 0], [8, 8]]), torch.Generator().manual_seed(0))
    outputs[-1].logits.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(("fire_rate", "expected_share"), [(1.0, 0.0), (0.75, 1.0)])
def test_training_at_the_outline_computes_what_prediction_computes(fire_rate, expected_share):
    """Without random masks the outputs are those of prediction, far enough from the ends of the patch."""
    torch.manual_seed(0)
    levels = (LevelPlan((4, 4), 2), LevelPlan((2, 2), 2), LevelPlan((1, 1), 2, (16, 16)))
    training = replace(TRAINING, at_outline=True, expected_share=expected_share)
    plan = replace(PLAN, fire_rate=fire_rate, levels=levels, training=training, outline=Outline(0.2, 1))
    network = MedNCA(plan, 2, 1, 2, sigmoid=False)
    for cell in network.cells:  # a level that is sure where the image is bright or dark, but not between
        torch.nn.init.normal_(cell.update.weight, std=0.3)
    image = torch.randn(1, 1, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    outputs, _ = network(image, torch.tensor([[16, 12]]), torch.Generator())
    *_, (state,) = level_states(network, image, plan.outline)
    *_, (everywhere,) = level_states(network, image)
    inside = (..., slice(18, 30), slice(14, 26))
    assert torch.allclose(outputs[-1].logits[..., 2:-2, 2:-2], network.logits(state)[inside], atol=1e-5)
    assert not torch.allclose(network.logits(state)[inside], network.logits(everywhere)[inside], atol=1e-5)
    outputs[-1].logits.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())
