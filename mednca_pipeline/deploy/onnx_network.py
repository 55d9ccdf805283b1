"""A UNet's fold on a CPU in ONNX Runtime: in less time than in torch, and without it."""

import os
from collections.abc import Iterator
from typing import cast

import numpy as np

from ..inference.network import Asked, input_format
from ..inference.sliding_windows import blended
from ..plans.model_plans import UNetPlan
from ..plans.plans import Plans
from ..runtime.light_nca import sigmoid, softmax
from ..runtime.network_input import Part, parts
from ..runtime.quality import Deviation
from ..runtime.weights import FoldWeights
from .onnx_nodes import IMAGE
from .onnx_unet import logits_graph, total_stride


class OnnxNetwork:
    """Computes on as many threads as OMP_NUM_THREADS says, else on all cores."""

    device = "cpu (ONNX Runtime)"
    random = False

    def __init__(self, weights: FoldWeights, plans: Plans, config: str, plan: UNetPlan) -> None:
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = _threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it crawls beside other work
        options.log_severity_level = 3  # errors alone
        graph = logits_graph(plan, plans.input_channels(plan), plans.labels.n_outputs, weights)
        self.session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.format = input_format(plans.config(config), plan, total_stride(plan))
        self.window, self.regions = plan.patch, plans.labels.has_regions

    @classmethod
    def from_weights(cls, weights: FoldWeights, plans: Plans, model: str, config: str) -> "OnnxNetwork":
        """Raises InputError when the weights do not fit the plans."""
        return cls(weights, plans, config, cast(UNetPlan, plans.config(config).model(model)))

    def see(self, image: np.ndarray) -> Iterator[Part]:
        return parts(image, self.format)

    def probabilities(self, seen: Part, asked: Asked, deviation: Deviation) -> Iterator[np.ndarray]:
        array = seen.array[None] if self.format.dim == 3 else seen.array.swapaxes(0, 1)
        batch = np.ascontiguousarray(array)  # (B, channels, *spatial)
        fits = all(side <= window for side, window in zip(batch.shape[2:], self.window, strict=True))
        logits = self._logits(batch) if fits else blended(batch, self.window, self._logits)
        outputs_first = np.moveaxis(logits, 1, 0)
        found = sigmoid(outputs_first) if self.regions else softmax(outputs_first)
        yield seen.pad.inverse(found[:, 0] if self.format.dim == 3 else found)

    def _logits(self, batch: np.ndarray) -> np.ndarray:
        (logits,) = self.session.run(None, {IMAGE: batch})
        return cast(np.ndarray, logits)


def _threads() -> int:
    """0: as many as there are cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(asked) if asked.isdecimal() else 0
