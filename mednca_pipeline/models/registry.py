"""Every model by its name: what its plan is, who plans, builds and predicts it, and how long it trains.

Code is named as "module:attribute" below mednca_pipeline, so that this table imports nothing slow: MONAI takes three
seconds, and predicting with a Med-NCA on a CPU needs no torch.
"""

import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..plans import plans as contract
from ..plans.model_plans import ModelPlan, NCAPlan, UNetPlan
from ..plans.plans import Plans
from ..runtime.errors import InputError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Model:
    """One entry.

    plan: the type of its plan. planner: a function from planning.model_task.ModelTask to PlannedModel. network: a
    torch.nn.Module as models.protocol.SegmentationNetwork describes it. minutes: how long a fold trains on 2 CPU cores
    and on a CUDA GPU, for images of hippocampus' size. predictor: the inference.network.Network of a fold in torch.
    light, onnx: the same on CPUs in NumPy, and in ONNX Runtime, or None. compared: whether a cross-validation includes
    it by default.
    """

    plan: type[ModelPlan]
    planner: str
    network: str
    minutes: tuple[float, float]
    predictor: str = "inference.torch_network:TorchNetwork"
    light: str | None = None
    onnx: str | None = None
    compared: bool = False


MODELS = {
    "mednca": Model(
        NCAPlan,
        planner="planning.nca_plans:plan_mednca",
        network="models.mednca:MedNCA",
        minutes=(20, 10),
        predictor="inference.torch_nca:TorchNCA",
        light="inference.light:LightNetwork",
        compared=True,
    ),
    "mednca_paper": Model(
        NCAPlan,
        planner="planning.paper_plan:plan_paper",
        network="models.mednca:MedNCA",
        minutes=(30, 15),
        predictor="inference.torch_nca:TorchNCA",
    ),
    "unet": Model(
        UNetPlan,
        planner="planning.unet_plans:plan_unet",
        network="models.unet:UNet",
        minutes=(30, 15),
        onnx="deploy.onnx_network:OnnxNetwork",
    ),
    "unet_small": Model(
        UNetPlan,
        planner="planning.unet_plans:plan_unet_small",
        network="models.unet:UNet",
        minutes=(6, 4),
        onnx="deploy.onnx_network:OnnxNetwork",
        compared=True,
    ),
}
COMPARED = tuple(name for name, model in MODELS.items() if model.compared)


def model_named(name: str) -> Model:
    """Raises InputError for a name that is not in the table."""
    if name not in MODELS:
        raise InputError("model", f"one of {', '.join(MODELS)}", repr(name))
    return MODELS[name]


def resolved(code: str) -> Any:
    """The object that "module:attribute" names."""
    return pkgutil.resolve_name(f"{__name__.partition('.')[0]}.{code}")


def read_plans(path: Path) -> Plans:
    """As plans.plans.read_plans, with the models in the table. Raises InputError where nothing was planned yet."""
    if not path.exists():
        remedy = "Make it with mednca_plan_and_preprocess, or name the workspace with --root."
        raise InputError(path, "the plans of a dataset", "no such file", remedy)
    return contract.read_plans(path, _plan_kinds())


def plans_from(values: Any, source: str) -> Plans:
    """As plans.plans.plans_from, with the models in the table."""
    return contract.plans_from(values, source, _plan_kinds())


def _plan_kinds() -> dict[str, type[ModelPlan]]:
    return {name: model.plan for name, model in MODELS.items()}


def build_model(name: str, plans: Plans, config: str | None = None) -> "nn.Module":
    """The untrained network `name` of a configuration, as models.protocol.SegmentationNetwork describes it.

    Raises InputError for an unknown name or a configuration that was not planned.
    """
    chosen = plans.config(config)
    plan = chosen.model(name)
    network = resolved(model_named(name).network)
    made: nn.Module = network(
        plan, chosen.dim, plans.input_channels(plan), plans.labels.n_outputs, plans.labels.has_regions
    )
    return made


def count_parameters(network: "nn.Module") -> int:
    return sum(parameter.numel() for parameter in network.parameters())
