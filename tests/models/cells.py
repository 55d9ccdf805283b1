"""Small NCA cells, and the comparison of a backend with their plain definition."""

import random
from itertools import product

import torch

from mednca_pipeline.models.nca import Cell, CellForm, run_steps
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan

LEVELS = (LevelPlan((2, 2), 2), LevelPlan((1, 1), 2))
PLAN = NCAPlan(8, 8, 0.75, "layer", "replicate", "matrix", LEVELS, TrainingPlan("adam", 1e-3, 1, 0.9, {"cpu": 1.0}))
BORDERS = ("replicate", "reflect", "zeros")
RANDOM, LONGEST = random.Random(0), {2: 10, 3: 6}
CASES = [  # size, image channels, border, fire rate
    (tuple(RANDOM.randint(2, LONGEST[dim]) for _ in range(dim)), *form)
    for dim in LONGEST
    for form in product((1, 2, 3, 4), BORDERS, (0.25, 0.5, 0.75, 1))
]


def make(size, n_image=1, border="replicate", fire_rate=0.75, norm="layer", perception="matrix", free=6):
    torch.manual_seed(sum(size) + n_image)
    cell = Cell(len(size), n_image + free, 8, n_image, CellForm(perception, norm, border)).double()
    torch.nn.init.normal_(cell.update.weight, std=0.1)
    state = torch.randn(2, n_image + free, *size, dtype=torch.float64)
    fired = None if fire_rate == 1 else torch.rand(3, 2, 1, *size) < fire_rate
    return cell, state, fired


def gradients(backend, cell, state, fired, **options):
    """The free channels after three steps, and the gradients of them and of every weight."""
    state = state.clone().requires_grad_()
    cell.zero_grad()
    after = backend(cell, state, fired, 3, **options)
    after[:, cell.fixed :].square().mean().backward()
    return after.detach(), [state.grad[:, cell.fixed :], *(weight.grad.clone() for weight in cell.parameters())]


def assert_as_defined(backend, cell, state, fired, **options):
    """Asserts that `backend` gives the states and gradients of the plain definition."""
    after, expected = gradients(run_steps, cell, state, fired, **options)
    given, found = gradients(backend, cell, state, fired, **options)
    assert given.shape == after.shape and torch.allclose(given, after, rtol=1e-12, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)
