"""The plan of a dataset: every decision that training and prediction need, with the reason for each."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mednca_runtime.errors import InputError
from mednca_runtime.files import from_dict, read_json, write_json
from mednca_runtime.labels import Labels
from mednca_runtime.outline import Outline
from mednca_runtime.preprocessing import PreprocessingPlan

SCHEMA = 1
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
    "most_views": 0,
}
FIRST_OUTLINE = {"eps": 0.02, "halo": 2}  # of a mednca whose plan is older than the field
MODELS = ("mednca", "mednca_paper", "unet", "unet_small")


@dataclass(frozen=True)
class LevelPlan:
    """One level of an NCA, coarsest first in a plan.

    factor: downscale factor per axis, relative to the preprocessed image.
    steps: number of NCA steps at this level.
    patch: size in this level's own cells that training sees, or None for the whole image. Inference sees the whole.
    """

    factor: tuple[int, ...]
    steps: int
    patch: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """How a model is trained. `minutes` is the schedule per device kind, used without --budget or --iterations."""

    optimiser: str  # "muon" (matrices, Adam for the rest) or "adam"
    learning_rate: float
    batch_size: int
    ema_decay: float
    minutes: dict[str, float]  # {"cpu": 15.0, "cuda": 8.0}
    foreground_share: float = 0.5  # share of samples whose slice and patch are forced to show foreground
    gradient_clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam
    augmentation: float = 1.0  # how often a sample is augmented, relative to nnU-Net; 0: never
    mirror_axes: tuple[int, ...] = ()  # of the sample, flipped at random
    artefacts: float = 0.0  # share of the samples that have an image artefact
    artefact_kinds: tuple[str, ...] = ()  # which (evaluation.artefacts.ARTEFACTS), each as likely
    at_outline: bool = False  # fine levels compute the cells that prediction would compute; else all of their patch
    weight_decay: float = 0.0  # decoupled: each step takes rate * weight_decay of the weights (Muon: of matrices only)
    most_views: int = 0  # of each slice (in 3D: of each case), after which `minutes` end early; 0: never
    coarser_share: float = 0.5  # of an NCA: each coarser level's loss counts this share of the next finer one's


@dataclass(frozen=True)
class NCAPlan:
    """A Med-NCA: channels and hidden units of the cell, and its levels, coarsest first."""

    channels: int
    hidden: int
    fire_rate: float  # the probability that a cell fires in a step
    norm: str  # per cell over the hidden units, before the ReLU: "layer", "rms" or "none"
    border: str  # padding of the perception: "reflect", "replicate" or "zeros"
    perception: str  # "matrix" (one folded linear map) or "paper" (identity and two 3x3 filter banks)
    levels: tuple[LevelPlan, ...]
    training: TrainingPlan
    adjacent_slices: int = 0  # on either side, seen by a 2D network of a volume as further image channels
    position: tuple[float, ...] = ()  # sides of a typical image, if voxels' places are seen (mednca_runtime.position)
    keep_every: int = 0  # of the states, for the backward pass, which computes the rest again; 0: everything is kept
    outline: Outline | None = None  # which cells prediction computes; None: all, where coarse levels have no loss


@dataclass(frozen=True)
class UNetPlan:
    """A DynUNet in nnU-Net's topology: one entry per stage, finest first."""

    features: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernel_sizes: tuple[tuple[int, ...], ...]
    patch: tuple[int, ...]  # in voxels of the preprocessed image; inference slides it where the image is larger
    training: TrainingPlan
    adjacent_slices: int = 0  # as in NCAPlan
    position: tuple[float, ...] = ()  # as in NCAPlan


@dataclass(frozen=True)
class ConfigPlan:
    """A configuration, "2d" or "3d". `image_size` has `dim` entries: images are edge-padded up to at least this."""

    name: str
    dim: int
    preprocessing: PreprocessingPlan
    image_size: tuple[int, ...]
    mednca: NCAPlan
    mednca_paper: NCAPlan
    unet: UNetPlan
    unet_small: UNetPlan

    def model(self, name: str) -> NCAPlan | UNetPlan:
        if name not in MODELS:
            raise InputError(f"Model {name!r}: expected one of {', '.join(MODELS)}.")
        return getattr(self, name)


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

    def input_channels(self, model: NCAPlan | UNetPlan) -> int:
        """Image channels that a network sees: the dataset's, of its own slice and each adjacent one, and position's."""
        return len(self.channel_names) * (2 * model.adjacent_slices + 1) + len(model.position)

    def digest(self, config: str, model: str) -> str:
        """Fingerprint of everything that decides the weights of `model`: folds with different digests never mix."""
        chosen = self.config(config)
        parts = [self.labels, chosen.preprocessing, chosen.model(model)]
        plain = [asdict(from_dict(type(part), asdict(part))) for part in parts]  # 1 and 1.0 must not differ
        if not plain[-1]["training"].get("at_outline"):
            plain[-1].pop("outline", None)  # it then decides how a network predicts, and not its weights
        plain[-1]["training"].pop("most_views", None)  # it decides the number of iterations, which run.json has
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


def read_plans(path: Path) -> Plans:
    """Raises InputError when the file is missing, damaged or of another schema."""
    data = read_json(path, schema=SCHEMA)
    try:
        for config in data["configs"].values():
            config["mednca"].setdefault("outline", FIRST_OUTLINE)
        return from_dict(Plans, data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is no whole plan ({what}). Plan again, or put back the file as it was.") from error


def write_plans(path: Path, plans: Plans) -> None:
    write_json(path, plans)
