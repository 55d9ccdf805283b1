"""What is added to nnU-Net's augmentation, by kind of image: artefacts, and mirroring where sides carry no meaning."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ..datasets.channels import is_colour
from ..plans.model_plans import TrainingPlan
from .normalisation import SCHEMES
from .rule import Chosen

ARTEFACTS = 0.15  # share of the samples
MIRRORED = False
# What a channel is called -> the kind of image. Whole words, in lower case.
_NAMES = {
    "CT": r"ct|cbct",
    "MRI": r"mri?|[tp][12d]\*?(w|wi|gd|c|ce|fs)?|t[12]\W?(weighted|star|gd|ce)|flair|adc|dwi|swi|dce|bssfp|lge",
    "ultrasound": r"us|ultrasound|ultrasonography|sonography|sonogram|b-?mode",
    "X-ray": r"x-?ray|cxr|radiograph|radiography|mammography|mammogram",
    "photograph": r"rgb|photo|photograph|photography|dermoscopy|endoscopy|fundus",
}
ARTEFACT_KINDS = {
    "CT": ("noise", "blur", "low_resolution"),
    "MRI": ("noise", "blur", "low_resolution", "gamma", "bias_field", "ghosts", "spikes"),
    "ultrasound": ("speckle", "blur", "low_resolution", "gamma", "shadow"),
    "X-ray": ("noise", "blur", "low_resolution", "gamma"),
    "photograph": ("noise", "blur", "low_resolution", "gamma", "bias_field"),
    "unknown": ("noise", "blur", "low_resolution", "gamma"),
}
_MIRRORING: dict[str, tuple[tuple[int, ...], str]] = {
    "photograph": ((0, 1), "a photograph of a lesion looks alike from all sides"),
    "ultrasound": ((1,), "a probe may be held either way round, while depth carries meaning"),
}


def modality(channel_names: Sequence[str]) -> str:
    """What all channels are by their names, as a key of ARTEFACT_KINDS; "unknown" where they differ or do not say."""
    if is_colour(channel_names):
        return "photograph"
    found = {_modality_of(name.strip().lower()) for name in channel_names}
    return found.pop() if len(found) == 1 else "unknown"


def _modality_of(name: str) -> str:
    if SCHEMES.get(name) == "rgb":
        return "photograph"
    for kind, words in _NAMES.items():
        if re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9])", name.replace("_", " ")):
            return kind
    return "unknown"


def artefact_kinds(channel_names: Sequence[str]) -> Chosen[tuple[str, ...]]:
    """Artefacts that occur in images of these channels: keys of evaluation.artefacts.ARTEFACTS."""
    kind = modality(channel_names)
    names = ", ".join(channel_names)
    because = f"{names}: artefacts of {kind} images" if kind != "unknown" else f"{names}: artefacts that any image has"
    return Chosen(ARTEFACT_KINDS[kind], because)


def mirror_axes(channel_names: Sequence[str], dim: int) -> Chosen[tuple[int, ...]]:
    """The axes of a sample whose two directions mean the same; () where anatomy has a left and a right."""
    kind = modality(channel_names)
    if dim == 2 and kind in _MIRRORING:
        return Chosen(*_MIRRORING[kind])
    return Chosen((), "anatomy has a left and a right")


def augmented(training: TrainingPlan, channel_names: Sequence[str], dim: int) -> TrainingPlan:
    """The plan with the augmentation that ARTEFACTS and MIRRORED switch on."""
    kinds = artefact_kinds(channel_names).value if ARTEFACTS else ()
    axes = mirror_axes(channel_names, dim).value if MIRRORED else ()
    return replace(training, artefacts=ARTEFACTS, artefact_kinds=kinds, mirror_axes=axes)


def augmentation_decisions(channel_names: Sequence[str], dim: int) -> list[tuple[str, Chosen[str]]]:
    """Lines of the planner's table for what is switched on."""
    kinds, axes = artefact_kinds(channel_names), mirror_axes(channel_names, dim)
    lines = []
    if ARTEFACTS:
        value = f"in {ARTEFACTS:.0%} of the samples: {', '.join(kinds.value).replace('_', ' ')}"
        lines.append(("artefacts", Chosen(value, kinds.because)))
    if MIRRORED:
        value = f"along axes {', '.join(map(str, axes.value))} of a sample" if axes.value else "no"
        lines.append(("mirrored", Chosen(value, axes.because)))
    return lines
