"""From a fingerprint to plans: every rule in turn, and a reason for each decision."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from ..fingerprint.fingerprint import Fingerprint
from ..models.nca_cost import flop
from ..models.registry import MODELS, resolved
from ..plans.model_plans import ModelPlan, NCAPlan
from ..plans.plans import ConfigName, ConfigPlan, Decision, Plans, TrainingRange
from ..runtime.errors import InputError
from ..runtime.preprocessing import PreprocessingPlan
from ..runtime.units import distance_unit
from .components import components_decision, steady_components
from .cost import default_config
from .facts import Facts
from .levels import describe_factors
from .memory import DEFAULT_BYTES
from .model_task import ModelTask, PlannedModel
from .nca_plans import factors_of, steps_of
from .normalisation import clipping, ct_statistics, schemes
from .overrides import FLAGS, Overrides, parse_overrides
from .paper_plan import paper_factors
from .position import sees_position
from .resolution import working_spacing
from .rule import Chosen, times
from .schedule import schedule_decision, training_minutes
from .sizes import (
    image_size,
    jump_shares,
    preprocessed_shapes,
    smallest_extents_mm,
    spacings_mm,
    typical_large_shape,
)
from .spacing import adjacent_slices, slicing_axis, target_spacing

RANGE_PERCENTILES = (0.5, 99.5)


def possible_configs(fingerprint: Fingerprint) -> tuple[ConfigName, ...]:
    """("2d",) for 2D images, ("2d", "3d") for volumes."""
    return ("2d",) if fingerprint.ndim == 2 else ("2d", "3d")


def make_plans(
    fingerprint: Fingerprint, overrides: Mapping[str, str] | None = None, memory_bytes: int = DEFAULT_BYTES
) -> Plans:
    """The plans of a dataset with all configurations. Equal arguments give equal plans.

    overrides: as in plans.json, {"2d.steps": "10 6 4"}. memory_bytes: what a training process may take.
    Raises InputError for overrides that do not fit, and for a dataset without foreground.
    """
    overrides = dict(overrides or {})
    configs: dict[str, ConfigPlan] = {}
    decisions: list[Decision] = []
    for name in possible_configs(fingerprint):
        configs[name], made = _plan_config(fingerprint, name, overrides, memory_bytes)
        decisions += made
    _check_overrides(overrides, configs)
    volume = configs.get("3d")
    default = default_config(flop(cast(NCAPlan, volume.model("mednca")), volume.image_size) if volume else None)
    decisions.insert(0, Decision("all", "default configuration", default.value, default.because))
    budget = f"{memory_bytes / 1e9:.3g} GB"
    why = "the most that a training process takes; --memory changes it"
    decisions.insert(1, Decision("all", "memory budget", budget, why, "memory" in overrides))
    components = steady_components(fingerprint)
    decisions.insert(2, Decision("all", "components", components_decision(components.value), components.because))
    return Plans(
        dataset=fingerprint.dataset,
        channel_names=fingerprint.channel_names,
        labels=fingerprint.labels,
        file_ending=fingerprint.file_ending,
        spacing_known=fingerprint.spacing_known,
        default_config=default.value,
        configs=configs,
        training_range=_training_range(fingerprint),
        decisions=tuple(decisions),
        overrides=overrides,
        memory_bytes=memory_bytes,
        components=components.value,
    )


def _plan_config(
    fingerprint: Fingerprint, name: ConfigName, overrides: Mapping[str, str], memory_bytes: int
) -> tuple[ConfigPlan, list[Decision]]:
    notes = _Notes(name)
    preprocessing, facts, user = _preprocessing(fingerprint, name, overrides, memory_bytes, notes)
    factors = factors_of(facts, user)
    steps = steps_of(facts, factors.value, user)
    multiple = tuple(map(math.lcm, factors.value[0], paper_factors(facts.large_shape)[0]))
    size = image_size(facts.large_shape, multiple)
    slice_alone = facts
    if name == "2d" and preprocessing.axis_order:
        facts = facts.with_adjacent(_adjacent_slices(fingerprint, preprocessing, notes))
    seen = sees_position(fingerprint)
    if seen.value if user.position is None else user.position:
        facts = facts.with_position(_typical_shape(fingerprint, preprocessing))
    because = seen.because if user.position is None else "you chose it with --position"
    notes.add("position", Chosen("seen" if facts.position else "not seen", because), user.position)
    notes.add("image size", Chosen(times(size.value), size.because))
    notes.add("levels", Chosen(describe_factors(factors.value), factors.because), user.levels)
    notes.add("steps", Chosen(", ".join(map(str, steps.value)), steps.because), user.steps)
    models: dict[str, ModelPlan] = {}
    for model, entry in MODELS.items():
        minutes = training_minutes(model, size.value, facts.n_cases)
        levels = factors.value, steps.value
        task = ModelTask(facts, slice_alone, size.value, *levels, user, fingerprint.channel_names, minutes)
        planned: PlannedModel = resolved(entry.planner)(task)
        models[model] = planned.plan
        for note in planned.notes:
            notes.add(*note)
    notes.add("training time", schedule_decision(size.value, facts.n_cases))
    return ConfigPlan(name, facts.dim, preprocessing, size.value, models), notes.decisions


def _preprocessing(
    fingerprint: Fingerprint, name: ConfigName, overrides: Mapping[str, str], memory_bytes: int, notes: "_Notes"
) -> tuple[PreprocessingPlan, Facts, Overrides]:
    """How images are preprocessed, the facts that follow for the networks, and the user's decisions."""
    order = _axis_order(fingerprint, name, notes)
    kept = 1 if name == "2d" and order else 0  # the slicing axis keeps its spacing
    axes = order[kept:] or (0, 1)
    user = parse_overrides(overrides, name, axes, fingerprint.ndim)
    extents_mm, _ = smallest_extents_mm(fingerprint, axes)
    if user.spacing_mm:
        spacing = Chosen(user.spacing_mm, "you chose it with --spacing")
    else:
        spacing = _spacing(fingerprint, axes)
    unit = distance_unit(fingerprint.spacing_known, fingerprint.ndim)
    notes.add("target spacing", Chosen(f"{times(spacing.value)} {unit}", spacing.because), user.spacing_mm)
    scheme, clip = schemes(fingerprint), clipping(fingerprint)
    notes.add("normalisation", Chosen(", ".join(scheme.value), scheme.because))
    if "zscore" in scheme.value:
        notes.add("clipping", Chosen("0.5 to 99.5 %" if clip.value else "none", clip.because))
    left = (None,) * (3 - len(axes))
    statistics = ct_statistics(fingerprint) if "ct" in scheme.value else ()
    plan = PreprocessingPlan(
        order, (*left, *spacing.value), scheme.value, ct_statistics=statistics, clip_percentiles=clip.value
    )
    facts = Facts(
        n_image=len(fingerprint.channel_names),
        n_outputs=fingerprint.labels.n_outputs,
        n_cases=len(fingerprint.cases),
        large_shape=typical_large_shape(preprocessed_shapes(fingerprint, axes, spacing.value)),
        extents=tuple(extent / value for extent, value in zip(extents_mm, spacing.value, strict=True)),
        spacing_mm=spacing.value,
        memory_bytes=memory_bytes,
    )
    return plan, facts, user


def _axis_order(fingerprint: Fingerprint, name: ConfigName, notes: "_Notes") -> tuple[int, ...]:
    """() for 2D images; the slicing axis first for slices; (0, 1, 2) for volumes."""
    if fingerprint.ndim == 2:
        return ()
    if name == "3d":
        return (0, 1, 2)
    axis = slicing_axis(target_spacing(spacings_mm(fingerprint, (0, 1, 2))).value, jump_shares(fingerprint))
    notes.add("slices", Chosen(("axial", "coronal", "sagittal")[axis.value], axis.because))
    return (axis.value, *(other for other in range(3) if other != axis.value))


def _spacing(fingerprint: Fingerprint, axes: Sequence[int]) -> Chosen[tuple[float, ...]]:
    target = target_spacing(spacings_mm(fingerprint, axes))
    working = working_spacing(fingerprint, axes, target.value)
    return Chosen(working.value, f"{target.because}; {working.because}")


def _adjacent_slices(fingerprint: Fingerprint, preprocessing: PreprocessingPlan, notes: "_Notes") -> int:
    across = preprocessing.axis_order[0]
    between = float(np.median(spacings_mm(fingerprint, (across,)))) if fingerprint.spacing_known else None
    within = [value for value in preprocessing.spacing_mm[1:] if value is not None]
    chosen = adjacent_slices(between, within, len(fingerprint.channel_names))
    notes.add("adjacent slices", Chosen(f"{chosen.value} on either side", chosen.because))
    return chosen.value


def _typical_shape(fingerprint: Fingerprint, preprocessing: PreprocessingPlan) -> tuple[float, ...]:
    """The median preprocessed shape: (H, W) for 2D images, (S, H, W) for volumes and for slices of volumes."""
    axes = preprocessing.axis_order or (0, 1)
    shapes = preprocessed_shapes(fingerprint, axes, preprocessing.spacing_mm[-len(axes) :])
    return tuple(float(side) for side in np.median(shapes, axis=0))


def _training_range(fingerprint: Fingerprint) -> TrainingRange:
    cases = fingerprint.cases
    known = fingerprint.spacing_known  # else extents are in voxels
    extents = [np.multiply(case.shape, case.spacing_mm if known else 1.0).tolist() for case in cases]
    means = [[channel.mean for channel in case.image] for case in cases]
    return TrainingRange(_ranges([case.spacing_mm for case in cases]), _ranges(extents), _ranges(means))


def _ranges(values: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """(low, high) per column of (N, columns)."""
    ends = np.percentile(np.array(values, float), RANGE_PERCENTILES, axis=0)  # (2, columns)
    return tuple((float(f"{low:.6g}"), float(f"{high:.6g}")) for low, high in ends.T)


def _check_overrides(overrides: Mapping[str, str], configs: Mapping[str, ConfigPlan]) -> None:
    known = {"memory", *(f"{config}.{flag}" for config in configs for flag in FLAGS)}
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise InputError("overrides", f"some of {', '.join(sorted(known))}", ", ".join(unknown))


class _Notes:
    """Collects the decisions of one configuration."""

    def __init__(self, config: ConfigName) -> None:
        self.config: ConfigName = config
        self.decisions: list[Decision] = []

    def add(self, name: str, chosen: Chosen[str], by_user: object = None) -> None:
        self.decisions.append(Decision(self.config, name, chosen.value, chosen.because, by_user is not None))
