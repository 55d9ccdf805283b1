"""The plans of `unet`, in nnU-Net's topology, and `unet_small`, for CPUs."""

from collections.abc import Callable, Sequence
from functools import partial

from .cost import small_unet_batch
from .facts import Facts
from .memory import available_bytes, largest_batch, unet_step_bytes
from .plans import TrainingPlan, UNetPlan
from .rule import Chosen, times
from .schedule import MOST_VIEWS, training_minutes
from .unet_topology import FEATURES, MOST_FEATURES, SMALL_POOLS, Topology, features, fitting, parameters, small_features

MOST_BATCH, LEAST_BATCH = {2: 16, 3: 4}, {2: 4, 3: 2}
UNET_RATE, SMALL_RATE = 1e-3, 3e-3
EMA_DECAY = 0.99

Widths = Callable[[Topology], tuple[int, ...]]


def plan_unet(facts: Facts, size: Sequence[int]) -> tuple[UNetPlan, Chosen]:
    """nnU-Net's pooling and features; patch and batch as the memory budget allows."""

    def widths(topology: Topology) -> tuple[int, ...]:
        return features(len(topology.strides), FEATURES, MOST_FEATURES[facts.dim])

    return _plan("unet", facts, size, widths, None, UNET_RATE, lambda topology: MOST_BATCH[facts.dim])


def plan_unet_small(facts: Facts, size: Sequence[int]) -> tuple[UNetPlan, Chosen]:
    """About half a million parameters, and iterations of about a second on two CPU cores."""

    def widths(topology: Topology) -> tuple[int, ...]:
        return small_features(topology, facts.n_image, facts.n_outputs)

    def batch(topology: Topology) -> int:
        return small_unet_batch(topology, widths(topology), facts.n_image)

    return _plan("unet_small", facts, size, widths, SMALL_POOLS, SMALL_RATE, batch)


def _plan(
    name: str,
    facts: Facts,
    size: Sequence[int],
    widths: Widths,
    most_pools: int | None,
    rate: float,
    most_batch: Callable[[Topology], int],
) -> tuple[UNetPlan, Chosen]:
    def step_bytes(topology: Topology, batch: int) -> int:
        chosen = widths(topology)
        n_parameters = parameters(topology, chosen, facts.n_image, facts.n_outputs)
        outputs = facts.n_image, facts.n_outputs
        return unet_step_bytes(topology.patch, topology.strides, chosen, *outputs, n_parameters, batch)

    def fits(topology: Topology) -> bool:
        return step_bytes(topology, LEAST_BATCH[facts.dim]) <= available_bytes(facts.memory_bytes)

    topology, because = fitting(size, facts.spacing_mm, fits, most_pools)
    chosen = widths(topology)
    batch = largest_batch(most_batch(topology), facts.memory_bytes, partial(step_bytes, topology))
    minutes = training_minutes(name, size, facts.n_cases)
    training = TrainingPlan("adam", rate, batch, EMA_DECAY, minutes, most_views=MOST_VIEWS)
    plan = UNetPlan(
        chosen,
        topology.strides,
        topology.kernel_sizes,
        topology.patch,
        training,
        adjacent_slices=facts.adjacent_slices,
        position=facts.position,
    )
    total = parameters(topology, chosen, facts.n_image, facts.n_outputs)
    what = "nnU-Net's topology"
    if name == "unet_small":
        what += " at about half a million parameters; a batch that takes about a second on two CPU cores"
    return plan, Chosen(
        f"{len(chosen)} stages of {chosen[0]} to {max(chosen)} features ({total:,} parameters), patch "
        f"{times(topology.patch)}, batch {batch}, Adam at {rate:g}",
        f"{what}; patch: {because}; a step takes about {step_bytes(topology, batch) / 1e6:.0f} MB",
    )
