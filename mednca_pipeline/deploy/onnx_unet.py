"""The UNet baseline (models.unet, MONAI's DynUNet) as an ONNX graph of standard operators."""

import math
from collections.abc import Sequence

from ..plans.model_plans import UNetPlan
from ..runtime.folding import check_shapes
from ..runtime.weights import FoldWeights
from .onnx_nodes import IMAGE, Nodes

LOGITS = "logits"
_NORM_EPS, _SLOPE = 1e-5, 0.01  # of the instance norm and the leaky ReLU in models.unet


def total_stride(plan: UNetPlan) -> tuple[int, ...]:
    """What the sides of images are multiples of."""
    return tuple(math.prod(column) for column in zip(*plan.strides, strict=True))


def logits_graph(plan: UNetPlan, n_image: int, n_outputs: int, weights: FoldWeights) -> bytes:
    """The graph of a trained UNet in ONNX's binary form, from an image to logits.

    Input "image": float32 (N, n_image, *spatial), whose sides are multiples of `total_stride`. Output "logits": float32
    (N, n_outputs, *spatial). weights: by their names in models.unet.UNet. Those of deep supervision are left out.
    Raises InputError for weights of another architecture.
    """
    nodes = Nodes()
    sides = [f"side_{axis}" for axis in range(len(plan.patch))]
    nodes.input(IMAGE, ["batch", n_image, *sides])
    _UNet(nodes, plan, weights).logits(n_image, n_outputs)
    nodes.output(LOGITS, ["batch", n_outputs, *sides])
    return nodes.model("UNet", "Preprocessed image to logits.", {})


class _UNet:
    """Adds the nodes of a UNet."""

    def __init__(self, nodes: Nodes, plan: UNetPlan, weights: FoldWeights) -> None:
        self.nodes, self.plan, self.weights = nodes, plan, weights

    def logits(self, n_image: int, n_outputs: int) -> None:
        plan, names = self.plan, self._encoder()
        value, channels, skipped = IMAGE, n_image, []
        for name, features, kernel, stride in zip(names, plan.features, plan.kernel_sizes, plan.strides, strict=True):
            value = self._block(value, name, (channels, features), kernel, stride)
            channels = features
            skipped.append(value)
        for index, stage in enumerate(range(len(names) - 1, 0, -1)):
            features, stride, name = plan.features[stage - 1], plan.strides[stage], f"net.upsamples.{index}"
            weight = self._weight(f"{name}.transp_conv.conv.weight", channels, features, *stride)
            upsampled = self.nodes("ConvTranspose", value, weight, kernel_shape=stride, strides=stride)
            joined = self.nodes("Concat", upsampled, skipped[stage - 1], axis=1)
            sizes, once = (2 * features, features), (1,) * len(stride)
            value = self._block(joined, f"{name}.conv_block", sizes, plan.kernel_sizes[stage], once)
            channels = features
        head = "net.output_block.conv.conv"
        weight = self._weight(f"{head}.weight", n_outputs, channels, *(1,) * len(plan.patch))
        self.nodes("Conv", value, weight, self._weight(f"{head}.bias", n_outputs), name=LOGITS)

    def _encoder(self) -> list[str]:
        """The name of each stage's block on the way down, finest first."""
        between = [f"net.downsamples.{index}" for index in range(len(self.plan.features) - 2)]
        return ["net.input_block", *between, "net.bottleneck"]

    def _block(
        self, value: str, name: str, sizes: tuple[int, int], kernel: Sequence[int], stride: Sequence[int]
    ) -> str:
        """Two convolutions, each with its norm and activation. The first has the stride. sizes: channels in and out."""
        before, after = sizes
        for number, steps in enumerate((stride, (1,) * len(stride)), start=1):
            weight = self._weight(f"{name}.conv{number}.conv.weight", after, before, *kernel)
            margins = [(side - step + 1) // 2 for side, step in zip(kernel, steps, strict=True)]
            convolved = self.nodes("Conv", value, weight, strides=steps, pads=[*margins, *margins])
            gain, shift = (self._weight(f"{name}.norm{number}.{part}", after) for part in ("weight", "bias"))
            normed = self.nodes("InstanceNormalization", convolved, gain, shift, epsilon=_NORM_EPS)
            value, before = self.nodes("LeakyRelu", normed, alpha=_SLOPE), after
        return value

    def _weight(self, name: str, *shape: int) -> str:
        """Makes a weight a constant of the graph."""
        found = {name: self.weights.arrays[name].shape} if name in self.weights.arrays else {}
        check_shapes(found, {name: shape}, f"{self.weights.source}: ")
        return self.nodes.constant(self.weights.arrays[name], name)
