"""The UNet baseline (models.unet, MONAI's DynUNet) as an ONNX graph of standard operators."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..plans.model_plans import UNetPlan
from .onnx_nodes import Nodes

IMAGE, LOGITS = "image", "logits"
_NORM_EPS, _SLOPE = 1e-5, 0.01  # of the instance norm and the leaky ReLU in models.unet


def logits_graph(plan: UNetPlan, weights: Mapping[str, np.ndarray]) -> bytes:
    """The graph of a trained UNet in ONNX's binary form, from an image to logits.

    Input "image": float32 (N, channels, *spatial), whose sides are multiples of the product of the strides. Output
    "logits": float32 (N, outputs, *spatial). weights: by their names in models.unet.UNet. Those of the heads of deep
    supervision are left out.
    """
    nodes = Nodes()
    for name, array in weights.items():
        if ".deep_supervision_heads." not in name:
            nodes.constant(array, name)
    sides = [f"side_{axis}" for axis in range(len(plan.patch))]
    nodes.input(IMAGE, ["batch", weights["net.input_block.conv1.conv.weight"].shape[1], *sides])
    _UNet(nodes, plan).logits()
    nodes.output(LOGITS, ["batch", len(weights["net.output_block.conv.conv.bias"]), *sides])
    return nodes.model("UNet", "Preprocessed image to logits.", {})


class _UNet:
    """Adds the nodes of a UNet. Weights are values of the graph, known by their names."""

    def __init__(self, nodes: Nodes, plan: UNetPlan) -> None:
        self.nodes, self.plan = nodes, plan

    def logits(self) -> None:
        stages = len(self.plan.features)
        names = ["input_block", *(f"downsamples.{index}" for index in range(stages - 2)), "bottleneck"][:stages]
        value, skipped = IMAGE, []
        for stage, name in enumerate(names):
            value = self._block(value, name, self.plan.kernel_sizes[stage], self.plan.strides[stage])
            skipped.append(value)
        for index, stage in enumerate(range(stages - 1, 0, -1)):
            stride, name = self.plan.strides[stage], f"upsamples.{index}"
            upsampled = self.nodes(
                "ConvTranspose", value, f"net.{name}.transp_conv.conv.weight", kernel_shape=stride, strides=stride
            )
            joined = self.nodes("Concat", upsampled, skipped[stage - 1], axis=1)
            value = self._block(joined, f"{name}.conv_block", self.plan.kernel_sizes[stage], (1,) * len(stride))
        head = "net.output_block.conv.conv"
        self.nodes("Conv", value, f"{head}.weight", f"{head}.bias", name=LOGITS)

    def _block(self, value: str, name: str, kernel: Sequence[int], stride: Sequence[int]) -> str:
        """Two convolutions, each with its norm and activation. The first has the stride."""
        for number, steps in enumerate((stride, (1,) * len(stride)), start=1):
            margins = [(side - step + 1) // 2 for side, step in zip(kernel, steps, strict=True)]
            convolved = self.nodes(
                "Conv", value, f"net.{name}.conv{number}.conv.weight", strides=steps, pads=[*margins, *margins]
            )
            norm = f"net.{name}.norm{number}"
            normed = self.nodes("InstanceNormalization", convolved, f"{norm}.weight", f"{norm}.bias", epsilon=_NORM_EPS)
            value = self.nodes("LeakyRelu", normed, alpha=_SLOPE)
        return value
