"""On a GPU: a level's recorded steps, and a training, its continuation and its validation.

Everything else of the suite runs on the CPU.
"""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file

from mednca_pipeline.cli.train import main as train_main
from mednca_pipeline.models.graphs import GraphedSteps
from mednca_pipeline.models.nca import run_steps

from ..models.cells import gradients, make
from ..phantom_workspaces import linked_workspace

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


@pytest.mark.parametrize(("mixed", "tolerance"), [(False, 1e-5), (True, 0.1)])
@pytest.mark.parametrize("keep_every", [0, 2])
@pytest.mark.parametrize("fire_rate", [0.75, 1])
@pytest.mark.parametrize("form", [("layer", "matrix", "replicate"), ("none", "paper", "reflect")])
@pytest.mark.parametrize("size", [(9, 7), (5, 7, 6)])
def test_recorded_steps_compute_the_definition(
    size, form, fire_rate, keep_every, mixed, tolerance, monkeypatch, caplog
):
    """Recorded, then started again with other weights, states and masks; against float64 on the CPU."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    norm, perception, border = form
    cell, state, fired = make(size, 2, border, fire_rate, norm, perception)
    copied, graphed = copy.deepcopy(cell).float().to(DEVICE), GraphedSteps()

    def on_gpu(cell, state, fired, steps):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=mixed):
            fired = None if fired is None else fired.to(DEVICE)
            return graphed(cell, state.float().to(DEVICE), fired, steps, keep_every)

    for _ in range(2):
        after, expected = gradients(run_steps, cell, state, fired)
        replayed, found = gradients(on_gpu, copied, state, fired)
        for one, other in zip([replayed, *found], [after, *expected], strict=True):
            assert (one.cpu() - other).norm() < tolerance * other.norm()
        torch.nn.init.normal_(cell.update.weight, std=0.1)
        copied.load_state_dict(cell.state_dict())
        state, fired = torch.randn_like(state), None if fired is None else torch.rand(fired.shape) < fire_rate
    assert len(graphed.recorded) == 1 and not caplog.text  # a warning says that nothing could be recorded


@pytest.mark.parametrize("model", ["mednca", "mednca_paper", "unet_small"])
def test_trains_continues_and_validates(phantom_workspace, tmp_path, model):
    linked_workspace(phantom_workspace, tmp_path)
    arguments = ["1", "fold0", "--root", str(tmp_path), "--model", model, "--device", DEVICE, "--quiet"]
    assert train_main([*arguments, "--iterations", "3"]) == 0
    assert train_main([*arguments[:-3], "--quiet", "--continue", "--iterations", "6"]) == 0  # auto: as it began
    folder = tmp_path / "results" / "Dataset001_Phantom" / f"{model}_2d" / "fold_0"
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["finished"] and run["iterations"] == 6 and run["device"] == DEVICE
    assert all(tensor.dtype == torch.float32 for tensor in load_file(folder / "final.safetensors").values())
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["cases"]
