"""The plan of a dataset: every decision that training and prediction need, with the reason for each."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.labels import Labels
from ..runtime.names import check_name, check_text
from ..runtime.preprocessing import PreprocessingPlan
from ..runtime.records import Between, Count, Side, from_dict
from .model_plans import ModelPlan

ConfigName = Literal["2d", "3d"]

SCHEMA = 2  # schema 1 had a field for each of the first four models
# Fields that are younger than the first trained models. Those were trained as these values say, so a field with its
# value here is left out of the digest, which then stays as it was.
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
    "most_views": 0,
    "expected_share": 0.0,
}
FIRST_MODELS = ("mednca", "mednca_paper", "unet", "unet_small")  # those of schema 1
FIRST_OUTLINE = {"eps": 0.02, "halo": 2}  # for a mednca whose plan is older than the field
REMEDY = "Plan again, or put back the file."


@dataclass(frozen=True)
class ConfigPlan:
    """A configuration. `image_size` has `dim` entries; smaller images are padded to it by repeating their edges."""

    name: ConfigName
    dim: Annotated[int, Between(2, 3)]
    preprocessing: PreprocessingPlan
    image_size: tuple[Side, ...]
    models: dict[str, ModelPlan]

    def __post_init__(self) -> None:
        if len(self.image_size) != self.dim:
            raise InputError("image_size", f"{self.dim} sides", str(len(self.image_size)))
        for name, plan in self.models.items():
            try:
                plan.check(self.dim)
            except InputError as error:
                raise error.at(f"models.{name}") from error

    def model(self, name: str) -> ModelPlan:
        """The plan of a model. Raises InputError when there is none."""
        if name not in self.models:
            raise InputError("model", f"one of {', '.join(self.models)}", repr(name))
        return self.models[name]

    def with_model(self, name: str, plan: ModelPlan) -> "ConfigPlan":
        return replace(self, models={**self.models, name: plan})


@dataclass(frozen=True)
class Decision:
    """One line of the planner's table. A value that the user chose has `by_user`."""

    config: Literal["2d", "3d", "all"]
    name: str
    value: str
    because: str
    by_user: bool = False


@dataclass(frozen=True)
class TrainingRange:
    """What training saw: 0.5 and 99.5 percentiles over the cases. Inputs outside get a warning at prediction."""

    spacing_mm: tuple[tuple[float, float], ...]  # (low, high) per axis
    extent_mm: tuple[tuple[float, float], ...]  # shape * spacing, (low, high) per axis
    intensity: tuple[tuple[float, float], ...]  # mean of a case over the cropped image, (low, high) per channel


@dataclass(frozen=True)
class Plans:
    """All decisions for one dataset."""

    dataset: str
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str
    spacing_known: bool
    default_config: ConfigName
    configs: dict[str, ConfigPlan]
    training_range: TrainingRange
    decisions: tuple[Decision, ...]
    overrides: dict[str, str] = field(default_factory=dict)  # what the user chose, such as {"2d.steps": "10 6 4"}
    memory_bytes: Count = 4_000_000_000  # what a training process may take; patch and batch sizes follow from it
    components: dict[str, int] = field(default_factory=dict)  # class -> how many prediction keeps; absent: all
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        check_name("dataset", self.dataset)
        for channel in self.channel_names:
            check_text("channel_names", channel)
        self._check_configs()
        for name, count in self.components.items():
            if name not in self.labels.names or count < 1:
                expected = f"classes of {', '.join(self.labels.names)} with a number of at least 1"
                raise InputError(f"plan of {self.dataset}: components", expected, f"{name}: {count}")

    def _check_configs(self) -> None:
        if not self.labels.names or not self.channel_names:
            raise InputError("labels and channel_names", "at least one each", "none")
        if self.default_config not in self.configs:
            raise InputError("default_config", f"one of {', '.join(self.configs)}", repr(self.default_config))
        for name, config in self.configs.items():
            where, kept = f"configs.{name}", config.preprocessing
            if config.name != name:
                raise InputError(f"{where}.name", repr(name), repr(config.name))
            if len(kept.normalisation) != len(self.channel_names):
                found = str(len(kept.normalisation))
                raise InputError(f"{where}.preprocessing.normalisation", f"{len(self.channel_names)} entries", found)

    @property
    def slicing_axis(self) -> int | None:
        """The LPS axis (0 axial, 1 coronal, 2 sagittal) across which volumes are cut into slices; None for pictures."""
        sliced = self.configs.get("2d")
        return sliced.preprocessing.axis_order[0] if sliced and sliced.preprocessing.axis_order else None

    @property
    def dimensions(self) -> int:
        """Spatial axes of the dataset's images, 2 or 3."""
        return len(self.training_range.extent_mm)

    def config(self, name: str | None = None) -> ConfigPlan:
        """The configuration `name`, or the plan's default. Raises InputError when it was not planned."""
        name = name or self.default_config
        if name not in self.configs:
            raise InputError(
                f"configuration of {self.dataset}",
                f"one that is planned ({', '.join(self.configs)})",
                repr(name),
                f"Plan it with mednca_plan_and_preprocess -d {self.dataset} --config {name}.",
            )
        return self.configs[name]

    def input_channels(self, model: ModelPlan) -> int:
        """The number of image channels that a network sees, those of adjacent slices and of position included."""
        return len(self.channel_names) * (2 * model.adjacent_slices + 1) + len(model.position)

    def digest(self, config: str, model: str) -> str:
        """Fingerprint of everything that decides the weights of `model`: folds with different digests never mix."""
        chosen = self.config(config)
        parts: list[Any] = [self.labels, chosen.preprocessing, chosen.model(model)]
        plain = [asdict(from_dict(type(part), asdict(part))) for part in parts]  # 1 and 1.0 must not differ
        if not plain[-1]["training"].get("at_outline"):
            plain[-1].pop("outline", None)  # it then decides what a network predicts, but not its weights
        plain[-1]["training"].pop("most_views", None)  # it decides the number of iterations, which run.json has
        for fields in (plain[-1], plain[-1]["training"]):
            for name, default in ADDED.items():
                if fields.get(name) == default:
                    del fields[name]
        decisive = [plain, chosen.dim, chosen.image_size, self.channel_names]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def describe_components(components: Mapping[str, int]) -> str:
    """{"liver": 1, "lung": 2} -> "1 component of liver, 2 components of lung"; {} -> ""."""
    names: dict[int, list[str]] = {}
    for name, number in components.items():
        names.setdefault(number, []).append(name)
    parts = []
    for number, group in sorted(names.items()):
        listed = " and ".join(filter(None, (", ".join(group[:-1]), group[-1])))
        parts.append(f"{number} component{'s' * (number != 1)} {'each ' * (len(group) > 1)}of {listed}")
    return ", ".join(parts)


def read_plans(path: Path, kinds: Mapping[str, type[ModelPlan]]) -> Plans:
    """Reads plans.json. kinds: the type of each model's plan (models.registry.read_plans passes them).

    Raises InputError when the file is missing or damaged, has a later schema, or a model that is not in `kinds`.
    """
    return plans_from(read_json(path), str(path), kinds)


def plans_from(values: Any, source: str, kinds: Mapping[str, type[ModelPlan]]) -> Plans:
    """The plans that a plans.json holds. source: its place, for messages. Else as read_plans."""
    data = migrated(values, source)
    for name, config in data["configs"].items():
        for model in list(config["models"]):
            where = f"{source}: configs.{name}.models.{model}"
            if model not in kinds:
                remedy = "Plan again with this version."
                raise InputError(f"{source}: configs.{name}.models", f"some of {', '.join(kinds)}", repr(model), remedy)
            config["models"][model] = from_dict(kinds[model], config["models"][model], where)
    return from_dict(Plans, data, source)


def migrated(data: Any, source: str) -> dict[str, Any]:
    """The contents of a plans.json in the present schema. Raises InputError for anything but a plan."""
    found = data.get("schema") if isinstance(data, dict) else None
    if found not in (1, SCHEMA):
        shown = "none" if found is None else str(found)
        raise InputError(source, f"a plan of schema {SCHEMA}", shown, "Plan again with this version.")
    configs = data.get("configs")
    if not isinstance(configs, dict) or not all(isinstance(config, dict) for config in configs.values()):
        raise InputError(f"{source}: configs", "an object of configurations", f"{configs!r:.60}", REMEDY)
    if found == 1:
        for config in configs.values():
            config["models"] = {name: config.pop(name) for name in FIRST_MODELS if name in config}
            ours = config["models"].get("mednca")
            if isinstance(ours, dict):
                ours.setdefault("outline", FIRST_OUTLINE)
    if not all(isinstance(config.get("models"), dict) for config in configs.values()):
        raise InputError(f"{source}: configs", "models in each configuration", "none", REMEDY)
    return {**data, "schema": SCHEMA}


def write_plans(path: Path, plans: Plans) -> None:
    write_json(path, plans)
