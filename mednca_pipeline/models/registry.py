"""Every model by its name."""

from torch import nn

from ..plans.plans import NCAPlan, Plans
from .mednca import MedNCA


def build_model(name: str, plans: Plans, config: str | None = None) -> nn.Module:
    """The untrained model `name` (mednca, mednca_paper, unet, unet_small) of a configuration.

    Raises InputError for an unknown name or a configuration that was not planned.
    """
    chosen = plans.config(config)
    plan = chosen.model(name)
    if isinstance(plan, NCAPlan):
        kind = MedNCA
    else:
        from .unet import UNet as kind  # MONAI takes three seconds to import: only those wait who need it
    return kind(plan, chosen.dim, plans.input_channels(plan), plans.labels.n_outputs, sigmoid=plans.labels.has_regions)


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
