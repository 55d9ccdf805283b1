"""Decisions that follow from the number of operations of a training pass."""

from ..models.unet_cost import flop
from ..plans.model_plans import UNetPlan
from ..plans.plans import ConfigName
from .rule import Chosen, power_of_two_below

MOST_3D_FLOP = 5e9  # 3D is the default where a training pass over a whole case costs no more
SMALL_BATCH_FLOP = 40e9  # an iteration of the small UNet: about a second on two CPU cores


def small_unet_batch(plan: UNetPlan, n_image: int) -> int:
    """The batch size with which an iteration takes about a second on two CPU cores: 4 (in 3D 2) to 16."""
    fewest = 4 if len(plan.patch) == 2 else 2
    return min(max(power_of_two_below(SMALL_BATCH_FLOP / flop(plan, n_image)), fewest), 16)


def default_config(flop_3d: float | None) -> Chosen[ConfigName]:
    """2D for 2D images; 3D for volumes only when a training pass over a whole case is cheap."""
    if flop_3d is None:
        return Chosen("2d", "the images are 2D")
    limit = f"{MOST_3D_FLOP / 1e9:g} GFLOP"
    cost = f"a 3D training pass over a whole case costs {flop_3d / 1e9:.3g} GFLOP"
    if flop_3d < MOST_3D_FLOP:
        return Chosen("3d", f"{cost}, below {limit}")
    return Chosen("2d", f"{cost}; 3D is the default only below {limit}")
