"""The UNet baseline: MONAI's DynUNet in nnU-Net's topology (Isensee et al., Nature Methods 2021)."""

import torch
from monai.networks.nets import DynUNet
from torch import Tensor, nn

from ..plans.model_plans import UNetPlan
from .protocol import Output, window_output
from .unet_cost import heads
from .windows import crop_boxes


class UNet(nn.Module):
    """Encoder-decoder with instance normalisation, leaky ReLU and deep supervision in training."""

    def __init__(self, plan: UNetPlan, dim: int, n_image_channels: int, n_outputs: int, sigmoid: bool) -> None:
        super().__init__()
        self.plan, self.dim, self.sigmoid = plan, dim, sigmoid
        self.factor = tuple(int(torch.tensor(column).prod()) for column in zip(*plan.strides, strict=True))
        self.heads = heads(len(plan.strides))
        self.net = DynUNet(
            spatial_dims=dim,
            in_channels=n_image_channels,
            out_channels=n_outputs,
            kernel_size=plan.kernel_sizes,
            strides=plan.strides,
            upsample_kernel_size=plan.strides[1:],
            filters=plan.features,
            norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", {"negative_slope": 0.01, "inplace": True}),
            deep_supervision=self.heads > 0,
            deep_supr_num=max(self.heads, 1),
        )

    def forward(self, image: Tensor, origin: Tensor, generator: torch.Generator) -> tuple[list[Output], float]:
        """A training pass on the patches that begin at `origin`.

        Returns every head at full size. The loss of a head counts half of that of the next finer one.
        """
        heads = self.heads_of(crop_boxes(image, origin, self.plan.patch))
        return [window_output(head, origin, self.plan.patch, 0.5**index) for index, head in enumerate(heads)], 0.0

    def heads_of(self, image: Tensor) -> list[Tensor]:
        """image (B, n_image, *patch) -> logits, then those of the supervised coarser heads, all at full size."""
        out = self.net(image)
        return [out] if out.ndim == image.ndim else list(out.unbind(dim=1))

    def scored(self, image: Tensor, origin: Tensor) -> Output:
        """The logits of the patches that training would have seen."""
        logits = self.predict_logits(crop_boxes(image, origin, self.plan.patch))
        return window_output(logits, origin, self.plan.patch)

    def predict_logits(self, image: Tensor) -> Tensor:
        """(B, n_image, *spatial), whose sides are multiples of `factor` -> logits (B, n_outputs, *spatial)."""
        logits: Tensor = self.net(image)
        return logits
