"""A tiny random model with its plans, saved as trained folds, and images to predict."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from mednca_pipeline.models.registry import build_model
from mednca_pipeline.models.weights import save_weights
from mednca_pipeline.plans.model_plans import LevelPlan, NCAPlan, TrainingPlan, UNetPlan
from mednca_pipeline.plans.plans import ConfigPlan, Plans, TrainingRange, write_plans
from mednca_pipeline.runtime.files import write_json
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.outline import Outline
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan

DATASET = "Dataset004_Tiny"
SPACING = (2.0, 1.0, 1.5)  # (z, y, x) mm
SHAPE = (5, 14, 11)
TRAINING = TrainingPlan("adam", 1e-3, 2, 0.9, {"cpu": 1.0})


def make_plans(channels: int = 1) -> Plans:
    names = tuple(f"channel{index}" for index in range(channels))
    return Plans(
        dataset=DATASET,
        channel_names=names,
        labels=Labels(("anterior", "posterior"), ((1,), (2,))),
        file_ending=".nii.gz",
        spacing_known=True,
        default_config="2d",
        configs={"2d": _config("2d", 2, channels), "3d": _config("3d", 3, channels)},
        training_range=TrainingRange(
            spacing_mm=((2.0, 2.0), (1.0, 1.0), (1.5, 1.5)),
            extent_mm=((8.0, 12.0), (10.0, 20.0), (12.0, 20.0)),
            intensity=((-1000.0, 1000.0),) * channels,
        ),
        decisions=(),
    )


def save_model(root: Path, plans: Plans, model: str = "mednca", config: str = "2d", folds=(0, 1)) -> Path:
    """Random weights for each fold, large enough that the runs disagree; returns the model folder."""
    folder = root / "results" / plans.dataset / f"{model}_{config}"
    write_plans(folder / "plans.json", plans)
    for fold in folds:
        torch.manual_seed(fold if isinstance(fold, int) else 99)
        network = build_model(model, plans, config)
        for name, parameter in network.named_parameters():
            if name.endswith("update.weight"):
                torch.nn.init.normal_(parameter, std=0.3)
        path = folder / f"fold_{fold}" / "final.safetensors"
        save_weights(path, network)
        write_json(path.parent / "run.json", {"schema": 1, "digest": plans.digest(config, model)})
    return folder


def make_image(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """(z, y, x) float32: two bright blobs in noise, off-centre."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))
    blobs = [np.exp(-8 * sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True))) for centre in _CENTRES]
    image = 100 + 200 * blobs[0] + 120 * blobs[1] + rng.normal(0, 10, shape)
    return image.astype(np.float32)


def write_image(path: Path, array: np.ndarray, spacing: tuple[float, ...] = SPACING) -> Path:
    """An LPS array (z, y, x) as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-spacing[2], -spacing[1], spacing[0], 1.0])
    nib.save(nib.Nifti1Image(array.transpose(2, 1, 0), affine), path)
    return path


def with_regions(plans: Plans) -> Plans:
    return replace(plans, labels=Labels(("whole", "posterior"), ((1, 2), (2,)), (1, 2)))


_CENTRES = ((0.2, -0.3, 0.1), (-0.2, 0.4, -0.3))


def _config(name: str, dim: int, channels: int) -> ConfigPlan:
    levels = (LevelPlan((1, 2, 2)[-dim:], 3), LevelPlan((1,) * dim, 2))
    nca = NCAPlan(8, 12, 0.5, "rms", "replicate", "matrix", levels, TRAINING)
    strides = ((1,) * dim, (1, 2, 2)[-dim:], (1, 2, 2)[-dim:])
    unet = UNetPlan((4, 8, 8), strides, ((3,) * dim,) * 3, (4, 8, 8)[-dim:], TRAINING)
    target = (None, 1.0, 1.0) if dim == 2 else (2.0, 1.0, 1.0)
    preprocessing = PreprocessingPlan((0, 1, 2), target, ("zscore",) * channels)
    mednca = replace(nca, outline=Outline(eps=0.2, halo=1))
    models = {"mednca": mednca, "mednca_paper": nca, "unet": unet, "unet_small": unet}
    return ConfigPlan(name, dim, preprocessing, (6, 16, 16)[-dim:], models)


def two_dimensional(plans: Plans) -> Plans:
    """The same for 2D images without a known spacing."""
    config = plans.configs["2d"]
    preprocessing = replace(config.preprocessing, axis_order=(), spacing_mm=(None, None, None))
    seen = TrainingRange(((1.0, 1.0),) * 2, ((10.0, 30.0),) * 2, plans.training_range.intensity)
    config = replace(config, preprocessing=preprocessing)
    return replace(plans, spacing_known=False, configs={"2d": config}, training_range=seen)
