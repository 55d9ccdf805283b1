"""A training, its continuation and its validation on a GPU. Everything else of the suite runs on the CPU."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mednca_pipeline.cli.train import main as train_main

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


@pytest.mark.parametrize("model", ["mednca", "mednca_paper", "unet_small"])
def test_trains_continues_and_validates(phantom_workspace, tmp_path, model):
    for name in ("raw", "preprocessed", "plans"):
        (tmp_path / name).symlink_to(phantom_workspace / name)
    arguments = ["1", "fold0", "--root", str(tmp_path), "--model", model, "--device", "cuda", "--quiet"]
    assert train_main([*arguments, "--iterations", "3"]) == 0
    assert train_main([*arguments[:-3], "--quiet", "--continue", "--iterations", "6"]) == 0  # auto: as it began
    folder = tmp_path / "results" / "Dataset001_Phantom" / f"{model}_2d" / "fold_0"
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["finished"] and run["iterations"] == 6 and run["device"] == "cuda"
    assert all(tensor.dtype == torch.float32 for tensor in load_file(folder / "final.safetensors").values())
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["cases"]
