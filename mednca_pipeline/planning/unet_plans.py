"""The plans of `unet`, in nnU-Net's topology, and `unet_small`, for CPUs."""

from collections.abc import Callable
from dataclasses import replace

from ..models.unet_cost import parameters, step_bytes
from ..plans.model_plans import TrainingPlan, UNetPlan
from .augmentation import augmented
from .cost import small_unet_batch
from .memory import available_bytes, largest_batch
from .model_task import ModelTask, Note, PlannedModel
from .rule import Chosen, times
from .schedule import MOST_VIEWS
from .unet_topology import FEATURES, MOST_FEATURES, SMALL_POOLS, Topology, features, fitting, small_features

MOST_BATCH, LEAST_BATCH = {2: 16, 3: 4}, {2: 4, 3: 2}
UNET_RATE, SMALL_RATE = 1e-3, 3e-3
EMA_DECAY = 0.99


def plan_unet(task: ModelTask) -> PlannedModel:
    """nnU-Net's pooling and features, with the patch and batch that the memory budget allows."""
    facts = task.facts

    def widths(topology: Topology) -> tuple[int, ...]:
        return features(len(topology.strides), FEATURES, MOST_FEATURES[facts.dim])

    draft = _draft(task, widths, None, UNET_RATE)
    return _planned("unet", task, draft, MOST_BATCH[facts.dim], "nnU-Net's topology")


def plan_unet_small(task: ModelTask) -> PlannedModel:
    """About half a million parameters, and iterations of about a second on two CPU cores."""
    facts = task.facts

    def widths(topology: Topology) -> tuple[int, ...]:
        return small_features(topology, facts.n_image, facts.n_outputs)

    draft = _draft(task, widths, SMALL_POOLS, SMALL_RATE)
    what = "nnU-Net's topology at about half a million parameters; a batch that takes about a second on two CPU cores"
    return _planned("unet_small", task, draft, small_unet_batch(draft.value, facts.n_image), what)


def _draft(
    task: ModelTask, widths: Callable[[Topology], tuple[int, ...]], most_pools: int | None, rate: float
) -> Chosen[UNetPlan]:
    """The plan with the largest patch whose smallest batch fits the memory budget."""
    facts = task.facts
    training = TrainingPlan("adam", rate, LEAST_BATCH[facts.dim], EMA_DECAY, task.minutes, most_views=MOST_VIEWS)
    training = augmented(training, task.channel_names, facts.dim)

    def plan_of(topology: Topology) -> UNetPlan:
        shape = topology.strides, topology.kernel_sizes, topology.patch
        return UNetPlan(widths(topology), *shape, training, facts.adjacent_slices, facts.position)

    def fits(topology: Topology) -> bool:
        takes = step_bytes(plan_of(topology), facts.n_image, facts.n_outputs)
        return takes <= available_bytes(facts.memory_bytes)

    topology, because = fitting(task.size, facts.spacing_mm, fits, most_pools)
    return Chosen(plan_of(topology), because)


def _planned(name: str, task: ModelTask, draft: Chosen[UNetPlan], most_batch: int, what: str) -> PlannedModel:
    facts, plan = task.facts, draft.value

    def with_batch(batch: int) -> UNetPlan:
        return replace(plan, training=replace(plan.training, batch_size=batch))

    def takes(batch: int) -> int:
        return step_bytes(with_batch(batch), facts.n_image, facts.n_outputs)

    batch = largest_batch(most_batch, facts.memory_bytes, takes)
    total = parameters(plan, facts.n_image, facts.n_outputs)
    chosen = Chosen(
        f"{len(plan.features)} stages of {plan.features[0]} to {max(plan.features)} features ({total:,} parameters), "
        f"patch {times(plan.patch)}, batch {batch}, Adam at {plan.training.learning_rate:g}",
        f"{what}; patch: {draft.because}; a step takes about {takes(batch) / 1e6:.0f} MB",
    )
    return PlannedModel(with_batch(batch), [Note(name, chosen)])
