"""A fold's network in torch: any that maps an image to logits, in one way."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..device import choose_device
from ..models.protocol import SegmentationNetwork
from ..models.registry import build_model
from ..models.weights import set_weights
from ..plans.model_plans import ModelPlan
from ..plans.plans import Plans
from ..runtime.network_input import Part, parts
from ..runtime.quality import Deviation
from ..runtime.weights import FoldWeights
from .network import Asked, input_format

TILE_OVERLAP = 0.5  # of the window that training saw, where the image is larger


class TorchNetwork:
    """Convolutions are in full float32 on every device: scores are compared with thresholds learned on another."""

    random = False

    def __init__(
        self, module: nn.Module, plans: Plans, config: str, plan: ModelPlan, device: str, everywhere: bool
    ) -> None:
        self.torch_device = choose_device(device)
        self.module = cast(SegmentationNetwork, module.to(self.torch_device).eval())
        self.plan, self.format = plan, input_format(plans.config(config), plan, self.module.factor)
        self.window, _ = plan.window(plans.config(config).image_size)
        self.sigmoid = plans.labels.has_regions

    @classmethod
    def from_weights(
        cls, weights: FoldWeights, plans: Plans, model: str, config: str, device: str = "auto", everywhere: bool = False
    ) -> "TorchNetwork":
        """Raises InputError when the weights do not fit the plans."""
        module = build_model(model, plans, config)
        set_weights(weights, module)
        return cls(module, plans, config, plans.config(config).model(model), device, everywhere)

    @property
    def device(self) -> str:
        return str(self.torch_device)

    def see(self, image: np.ndarray) -> Iterator[Part]:
        return parts(image, self.format)

    def probabilities(self, seen: Part, asked: Asked, deviation: Deviation) -> Iterator[np.ndarray]:
        on_gpu = self.torch_device.type == "cuda"
        full = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if on_gpu else nullcontext()
        with torch.inference_mode(), full:
            for logits in self._logits(seen, asked, deviation):  # (B, K, *spatial)
                probabilities = self._activate(logits)
                probabilities = probabilities[0] if self.format.dim == 3 else probabilities.movedim(0, 1)
                yield seen.pad.inverse(probabilities).float().cpu().numpy()

    def _logits(self, seen: Part, asked: Asked, deviation: Deviation) -> Iterator[Tensor]:
        """(B, K, *spatial) of each run, or once."""
        batch = self._batch(seen)
        if all(side <= window for side, window in zip(batch.shape[2:], self.window, strict=True)):
            yield self.module.predict_logits(batch)
            return
        from monai.inferers import sliding_window_inference  # slow to import, and only needed here

        predict = self.module.predict_logits
        logits = sliding_window_inference(batch, self.window, 1, predict, overlap=TILE_OVERLAP, mode="gaussian")
        yield cast(Tensor, logits)  # as `predict` gives one tensor

    def _batch(self, seen: Part) -> Tensor:
        """(B, channels, *spatial): the slices of a 2D network, or the one volume of a 3D network."""
        array = seen.array[None] if self.format.dim == 3 else seen.array.swapaxes(0, 1)
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)

    def _activate(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.sigmoid else logits.softmax(dim=1)
