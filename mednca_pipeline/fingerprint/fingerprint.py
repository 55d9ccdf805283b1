"""What a dataset looks like: the facts of every training case that planning needs, and nothing else."""

from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.labels import Labels
from ..runtime.names import check_name
from ..runtime.records import Count, Index, Name, Positive, Share, from_dict

SCHEMA = 2
MOST_SIDE, LEAST_MM, MOST_MM = 10**6, 1e-5, 1e5  # of what can be planned for


@dataclass(frozen=True)
class IntensityStatistics:
    """Statistics of one channel. Minimum and maximum are over all voxels, the percentiles over a sample of them."""

    mean: float
    sd: float
    median: float
    percentile_00_5: float
    percentile_99_5: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class ClassStatistics:
    """Statistics of one foreground output in one case. An absent class has 0 voxels, 0 components and extent ().

    extent: sides in voxels of the bounding box of the class's largest connected component, per LPS array axis.
    centre: mean position of the class's voxels per axis; -1 and 1 are the ends of the image, cropped to non-zero.
    """

    voxels: Index
    extent: tuple[Count, ...]
    components: Index
    centre: tuple[float, ...] = ()


@dataclass(frozen=True)
class LabelCeilings:
    """Dice between a case's labels and the same labels after the way to a coarser grid and back, from fine to coarse.

    spacing_mm: spacings of the grids; a coarser axis keeps its own spacing. dice: one value per grid for each class
    that the case shows. Spacings up to the finest of the case change nothing; those beyond the last one are too coarse.
    """

    spacing_mm: tuple[Positive, ...]
    dice: dict[str, tuple[Share, ...]]


@dataclass(frozen=True)
class CaseFingerprint:
    """One training case. Shapes and spacing are per LPS array axis, (z, y, x) or (y, x); cropping keeps the spacing.

    image: per channel, over the image cropped to non-zero. foreground: per channel, () when nothing is labelled.
    classes: per foreground output of the dataset's labels. image_sha256: hash of the voxels of all channels.
    label_ceilings: per set of resampled axes ("yx"; for volumes also "zx", "zy", "zyx"), {} when nothing is labelled.
    label_jumps, label_changes: see `drawn.label_jumps`; () for 2D images.
    """

    name: Name
    shape: tuple[Count, ...]
    cropped_shape: tuple[Count, ...]
    spacing_mm: tuple[Positive, ...]
    image: tuple[IntensityStatistics, ...]
    foreground: tuple[IntensityStatistics, ...]
    classes: dict[str, ClassStatistics]
    label_ceilings: dict[str, LabelCeilings]
    label_jumps: tuple[Index, ...]
    label_changes: tuple[Index, ...]
    image_sha256: str


@dataclass(frozen=True)
class Fingerprint:
    """A dataset: the parts of dataset.json that a plan copies, and the training cases in order of name.

    foreground: per channel, over voxels sampled from all cases alike (nnU-Net's statistics for CT).
    raw_sha256: hash of dataset.json and of every training file. Another value means that the raw data changed.
    """

    dataset: str
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str
    spacing_known: bool
    foreground: tuple[IntensityStatistics, ...]
    cases: tuple[CaseFingerprint, ...]
    raw_sha256: str
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Raises InputError where cases do not fit each other or the dataset's channels and labels."""
        check_name("dataset", self.dataset)
        if not self.cases:
            raise InputError("cases", "at least one", "none")
        for index, case in enumerate(self.cases):
            sides = {len(self.cases[0].shape), len(case.shape), len(case.cropped_shape), len(case.spacing_mm)}
            if len(sides) > 1 or not sides <= {2, 3}:
                raise InputError(f"cases[{index}]", "shapes and a spacing of 2 or 3 axes", f"{case.shape}")
            if len(case.image) != len(self.channel_names):
                found = str(len(case.image))
                raise InputError(f"cases[{index}].image", f"{len(self.channel_names)} channels", found)
            if set(case.classes) != set(self.labels.names):
                found = ", ".join(case.classes)
                raise InputError(f"cases[{index}].classes", ", ".join(self.labels.names), found)
            _check_case(f"cases[{index}]", case)
        if len(self.foreground) not in (0, len(self.channel_names)):
            raise InputError("foreground", f"{len(self.channel_names)} channels", str(len(self.foreground)))

    @property
    def ndim(self) -> int:
        """2 or 3 spatial axes."""
        return len(self.cases[0].shape)

    def identical_images(self) -> tuple[tuple[str, ...], ...]:
        """Groups of cases whose images have the same pixel values."""
        groups: dict[str, list[str]] = {}
        for case in self.cases:
            groups.setdefault(case.image_sha256, []).append(case.name)
        return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def _check_case(where: str, case: CaseFingerprint) -> None:
    """Raises InputError where the parts of a case do not fit each other, or no image can be like that."""
    axes = len(case.shape)
    per_axis: dict[str, tuple[float, ...]] = {"label_jumps": case.label_jumps, "label_changes": case.label_changes}
    for name, one in case.classes.items():
        per_axis |= {f"classes.{name}.extent": one.extent, f"classes.{name}.centre": one.centre}
        if one.voxels and not one.extent:
            raise InputError(f"{where}.classes.{name}.extent", f"{axes} values", "none")
    for name, values in per_axis.items():
        if len(values) not in (0, axes):
            raise InputError(f"{where}.{name}", f"{axes} values", str(len(values)))
    if len(case.label_jumps) != len(case.label_changes):
        raise InputError(f"{where}.label_changes", f"{len(case.label_jumps)} values", str(len(case.label_changes)))
    for name, ceilings in case.label_ceilings.items():
        for output, dice in ceilings.dice.items():
            if len(dice) != len(ceilings.spacing_mm) or output not in case.classes:
                expected = f"{len(ceilings.spacing_mm)} values of a class of the dataset"
                raise InputError(f"{where}.label_ceilings.{name}.dice.{output}", expected, str(len(dice)))
    if any(side > whole for side, whole in zip(case.cropped_shape, case.shape, strict=True)):
        raise InputError(f"{where}.cropped_shape", f"at most {case.shape}", str(case.cropped_shape))
    if max(case.shape) > MOST_SIDE or not LEAST_MM <= min(case.spacing_mm) <= max(case.spacing_mm) <= MOST_MM:
        expected = f"sides of at most {MOST_SIDE} voxels of {LEAST_MM:g} to {MOST_MM:g} mm"
        raise InputError(where, expected, f"{case.shape} and {case.spacing_mm}")


def read_fingerprint(path: Path) -> Fingerprint:
    """Raises InputError when the file is missing or of another schema."""
    return from_dict(Fingerprint, read_json(path, schema=SCHEMA), str(path))


def write_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    write_json(path, fingerprint)
