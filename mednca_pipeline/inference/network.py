"""The torch backend of the predictor: one run of one fold's network over a whole preprocessed image."""

import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mednca_runtime.fire_masks import fire_masks
from mednca_runtime.padding import CropBack, pad_to
from mednca_runtime.position import position_channels
from mednca_runtime.slices import with_adjacent

from ..models.registry import build_model
from ..models.tiles import Box, tiled_logits
from ..models.weights import load_weights
from ..planning.plans import NCAPlan, Plans, UNetPlan
from .trained import WEIGHTS, Fold

CELLS_PER_BATCH = 2**18  # slices run together up to this many pixels: a few hundred MB of state and hidden units
# An automaton takes larger images in tiles of so many cells. The halos of planned levels then add a tenth to the work
# in 2D and less than half in 3D, with about 1.3 GB; in tiles of 2^18 cells they would add 60 % there.
TILE_CELLS = {2: CELLS_PER_BATCH, 3: 2**20}
TILE_OVERLAP = 0.5  # of a UNet's patch, where the image is larger


class TorchNetwork:
    """One fold's network. The image is edge-padded for it as in training, and the result cropped back."""

    def __init__(self, module: nn.Module, plans: Plans, config: str, model: str, device: torch.device) -> None:
        chosen = plans.config(config)
        self.module = module.to(device).eval()
        self.plan, self.dim, self.image_size = chosen.model(model), chosen.dim, chosen.image_size
        self.sigmoid = plans.labels.has_regions
        self.device = device
        self.stochastic = isinstance(self.plan, NCAPlan) and self.plan.fire_rate < 1

    def probabilities(self, image: np.ndarray, seed: int, run: int) -> np.ndarray:
        """image: (C, S, H, W) float32, preprocessed -> (K, S, H, W) float32.

        A 2D network sees each slice, with its neighbours where the plan says so, a 3D network the whole volume. `run`
        and `seed` choose the fire masks.
        Convolutions are in full float32 on every device: scores are compared with thresholds learned on another.
        """
        full = (
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if self.device.type == "cuda" else nullcontext()
        )
        with torch.inference_mode(), full:
            return self._probabilities(image, seed, run)

    def _probabilities(self, image: np.ndarray, seed: int, run: int) -> np.ndarray:
        padded, inside = pad_to(image, self.image_size, self.module.factor)
        starts = [0] * (3 - self.dim) + [part.start for part in inside[1:]]  # of the image inside the padded one
        box = [(-start, side - start) for start, side in zip(starts, padded.shape[1:], strict=True)]
        if self.dim == 3:
            batch = self._to_device(self._with_position(padded, image.shape[1:], box))[None]
            return self._crop(self._activate(self._logits(batch, seed, run, 0, 1))[0], inside)
        total = padded.shape[1]
        step = max(1, CELLS_PER_BATCH // math.prod(padded.shape[2:]))
        parts = []
        for first in range(0, total, step):
            last = min(first + step, total)
            seen = with_adjacent(padded, self.plan.adjacent_slices, range(first, last))
            seen = self._with_position(seen, image.shape[1:], [(first, last), *box[1:]])
            batch = self._to_device(seen.swapaxes(0, 1))  # (slices, C, H, W)
            probabilities = self._activate(self._logits(batch, seed, run, first, total))
            parts.append(self._crop(probabilities.movedim(0, 1), inside))
        return np.concatenate(parts, axis=1)

    def _logits(self, batch: Tensor, seed: int, run: int, first: int, total: int) -> Tensor:
        """batch: slices `first` and following of `total` in 2D, the volume in 3D -> (B, K, *spatial)."""
        if isinstance(self.plan, UNetPlan):
            return self._unet_logits(batch, self.plan.patch)

        def fires(level: int, steps: int, grid: tuple[int, ...], box: Box | None = None) -> Tensor:
            """bool (steps, B, 1, *grid or box). In 2D the slices are the first axis of the masks' whole grid."""
            rate, window = self.plan.fire_rate, box or tuple(slice(None) for _ in grid)
            if self.dim == 3:
                return self._to_device(fire_masks(seed, run, level, steps, tuple(grid), rate, window))[:, None, None]
            window = (slice(first, first + len(batch)), *window)
            return self._to_device(fire_masks(seed, run, level, steps, (total, *grid), rate, window))[:, :, None]

        if math.prod(batch.shape[2:]) > TILE_CELLS[self.dim]:
            return tiled_logits(self.module, batch, fires, TILE_CELLS[self.dim])
        return self.module.predict_logits(batch, fires)

    def _unet_logits(self, batch: Tensor, patch: tuple[int, ...]) -> Tensor:
        if all(side <= seen for side, seen in zip(batch.shape[2:], patch, strict=True)):
            return self.module.predict_logits(batch, None)
        from monai.inferers import sliding_window_inference  # slow to import, and automata never need it

        return sliding_window_inference(
            batch, patch, 1, lambda tile: self.module.predict_logits(tile, None), overlap=TILE_OVERLAP, mode="gaussian"
        )

    def _with_position(self, seen: np.ndarray, shape: tuple[int, ...], box: list[tuple[int, int]]) -> np.ndarray:
        """seen: (C, S, H, W), the `box` of an image of `shape`. Adds the position, if the plan asks."""
        if not self.plan.position:
            return seen
        return np.concatenate([seen, position_channels(shape, box, self.plan.position)])

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.sigmoid else logits.softmax(dim=1)

    def _crop(self, probabilities: Tensor, inside: CropBack) -> np.ndarray:
        """(K, S, H, W) padded -> the part inside the image."""
        return probabilities[inside].float().cpu().numpy()


def load_network(
    model_folder: Path, fold: Fold, plans: Plans, model: str, config: str, device: torch.device
) -> TorchNetwork:
    """Builds the network and loads the fold's final weights. Raises InputError when they do not fit the plans."""
    module = build_model(model, plans, config)
    load_weights(Path(model_folder) / f"fold_{fold}" / WEIGHTS, module)
    return TorchNetwork(module, plans, config, model, device)
