"""The plan of a dataset: every decision that training and prediction need, with the reason for each."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.labels import Labels
from ..runtime.preprocessing import PreprocessingPlan
from ..runtime.records import from_dict
from .model_plans import ModelPlan

SCHEMA = 2  # 1: a field for each of the four models that there were
# Fields younger than the first trained models, which were trained as these values say: with them a digest stays as it
# was.
ADDED = {
    "adjacent_slices": 0,
    "position": (),
    "keep_every": 0,
    "augmentation": 1.0,
    "mirror_axes": (),
    "artefacts": 0.0,
    "artefact_kinds": (),
    "at_outline": False,
    "weight_decay": 0.0,
    "coarser_share": 0.5,
}
FIRST_MODELS = ("mednca", "mednca_paper", "unet", "unet_small")  # of schema 1
FIRST_OUTLINE = {"eps": 0.02, "halo": 2}  # of a mednca whose plan is older than the field


@dataclass(frozen=True)
class ConfigPlan:
    """A configuration, "2d" or "3d". `image_size` has `dim` entries: images are edge-padded up to at least this."""

    name: str
    dim: int
    preprocessing: PreprocessingPlan
    image_size: tuple[int, ...]
    models: dict[str, ModelPlan]

    def model(self, name: str) -> ModelPlan:
        """The plan of a model. Raises InputError when there is none."""
        if name not in self.models:
            raise InputError(f"Model {name!r}: expected one of {', '.join(self.models)}.")
        return self.models[name]

    def with_model(self, name: str, plan: ModelPlan) -> "ConfigPlan":
        return replace(self, models={**self.models, name: plan})


@dataclass(frozen=True)
class Decision:
    """One line of the planner's table. `config` is "2d", "3d" or "all"."""

    config: str
    name: str
    value: str
    because: str
    by_user: bool = False


@dataclass(frozen=True)
class TrainingRange:
    """What training saw, 0.5 and 99.5 percentiles over the cases: inputs outside get a warning at prediction."""

    spacing_mm: tuple[tuple[float, float], ...]  # (low, high) per axis
    extent_mm: tuple[tuple[float, float], ...]  # shape * spacing, (low, high) per axis
    intensity: tuple[tuple[float, float], ...]  # case mean over the cropped image, (low, high) per channel


@dataclass(frozen=True)
class Plans:
    """All decisions for one dataset."""

    dataset: str
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str
    spacing_known: bool
    default_config: str
    configs: dict[str, ConfigPlan]
    training_range: TrainingRange
    decisions: tuple[Decision, ...]
    overrides: dict[str, str] = field(default_factory=dict)  # the user's, such as {"2d.steps": "10 6 4"}
    memory_bytes: int = 4_000_000_000  # what a training step may take; patch and batch sizes follow from it
    components: dict[str, int] = field(default_factory=dict)  # class -> how many prediction keeps; absent: all
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for name, count in self.components.items():
            if name not in self.labels.names or count < 1:
                raise InputError(
                    f"components of {self.dataset}'s plan: expected classes of {', '.join(self.labels.names)} with a "
                    f"number of at least 1, found {name}: {count}."
                )

    def config(self, name: str | None = None) -> ConfigPlan:
        """The configuration `name`, or the plan's default. Raises InputError when it was not planned."""
        name = name or self.default_config
        if name not in self.configs:
            raise InputError(
                f"{self.dataset} has no configuration {name!r}: planned are {', '.join(self.configs)}. "
                f"Plan it with mednca_plan_and_preprocess -d {self.dataset} --config {name}."
            )
        return self.configs[name]

    def input_channels(self, model: ModelPlan) -> int:
        """Image channels that a network sees: the dataset's, of its own slice and each adjacent one, and position's."""
        return len(self.channel_names) * (2 * model.adjacent_slices + 1) + len(model.position)

    def digest(self, config: str, model: str) -> str:
        """Fingerprint of everything that decides the weights of `model`: folds with different digests never mix."""
        chosen = self.config(config)
        parts = [self.labels, chosen.preprocessing, chosen.model(model)]
        plain = [asdict(from_dict(type(part), asdict(part))) for part in parts]  # 1 and 1.0 must not differ
        if not plain[-1]["training"].get("at_outline"):
            plain[-1].pop("outline", None)  # it then decides how a network predicts, and not its weights
        for fields in (plain[-1], plain[-1]["training"]):
            for name, default in ADDED.items():
                if fields.get(name) == default:
                    del fields[name]
        decisive = [plain, chosen.dim, chosen.image_size, self.channel_names]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def describe_components(components: Mapping[str, int]) -> str:
    """{"liver": 1, "lung": 2} -> "1 component of liver, 2 components of lung"; "" for none."""
    names: dict[int, list[str]] = {}
    for name, number in components.items():
        names.setdefault(number, []).append(name)
    parts = []
    for number, group in sorted(names.items()):
        listed = " and ".join(filter(None, (", ".join(group[:-1]), group[-1])))
        parts.append(f"{number} component{'s' * (number != 1)} {'each ' * (len(group) > 1)}of {listed}")
    return ", ".join(parts)


def read_plans(path: Path, kinds: Mapping[str, type[ModelPlan]]) -> Plans:
    """kinds: the type of each model's plan (models.registry, whose read_plans knows them).

    Raises InputError when the file is missing or damaged, of a later schema, or has a model that is not in `kinds`.
    """
    data = migrated(read_json(path), path)
    for name, config in data["configs"].items():
        for model in list(config["models"]):
            where = f"{path}: configs.{name}.models.{model}"
            if model not in kinds:
                raise InputError(f"{where}: expected one of {', '.join(kinds)}. This version has no such model.")
            config["models"][model] = from_dict(kinds[model], config["models"][model], where)
    return from_dict(Plans, data, str(path))


def migrated(data: Any, path: Path) -> dict[str, Any]:
    """The contents of a plans.json as the present schema has them. Raises InputError for what is no plan."""
    found = data.get("schema") if isinstance(data, dict) else None
    if found not in (1, SCHEMA):
        raise InputError(f"{path}: expected a plan of schema {SCHEMA}, found {found}. Plan again with this version.")
    configs = data.get("configs")
    if not isinstance(configs, dict) or not all(isinstance(config, dict) for config in configs.values()):
        raise InputError(f"{path}: configs: expected an object of configurations. Plan again, or put back the file.")
    if found == 1:
        for config in configs.values():
            config["models"] = {name: config.pop(name) for name in FIRST_MODELS if name in config}
            ours = config["models"].get("mednca")
            if isinstance(ours, dict):
                ours.setdefault("outline", FIRST_OUTLINE)
    if not all(isinstance(config.get("models"), dict) for config in configs.values()):
        raise InputError(f"{path}: configs: expected models in each configuration. Plan again, or put back the file.")
    return {**data, "schema": SCHEMA}


def write_plans(path: Path, plans: Plans) -> None:
    write_json(path, plans)
