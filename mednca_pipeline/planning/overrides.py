"""The user's own decisions: --levels, --steps, --spacing, --patch, --channels, --position, per configuration."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..runtime.errors import InputError
from .levels import Factor

FLAGS = ("levels", "steps", "spacing", "patch", "channels", "position")
EXAMPLES = {
    "levels": "4 2 1",
    "steps": "10 6 4",
    "spacing": "0.8 0.8",
    "patch": "24 24",
    "channels": "16",
    "position": "no",
}


@dataclass(frozen=True)
class Overrides:
    """What the user decided for one configuration. The planner decides what is None.

    levels: factors per axis, coarsest first. spacing_mm: one value per resampled axis. patch: cells per axis of the
    finest level.
    """

    levels: tuple[Factor, ...] | None = None
    steps: tuple[int, ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    patch: tuple[int, ...] | None = None
    channels: int | None = None
    position: bool | None = None


def merged(earlier: Mapping[str, str], flags: Mapping[str, str | None], configs: Iterable[str]) -> dict[str, str]:
    """Overrides as plans.json keeps them, {"2d.steps": "10 6 4"}. Flags of this command replace earlier ones."""
    given = {f"{config}.{flag}": text for config in configs for flag, text in flags.items() if text is not None}
    return dict(sorted({**earlier, **given}.items()))


def check_flags(flags: Mapping[str, str], configs: Sequence[str]) -> None:
    """Raises InputError for texts that fit no images of whatever dimensions: what is said before images are read.

    configs: () is all.
    """
    errors = []
    for config, axes, ndim in (("3d", (0, 1, 2), 3), ("2d", (1, 2), 3), ("2d", (0, 1), 2)):
        if configs and config not in configs:
            continue
        try:
            parse_overrides(merged({}, flags, [config]), config, axes, ndim)
            return
        except InputError as error:
            errors.append(error)
    raise errors[-1]


def parse_overrides(texts: Mapping[str, str], config: str, axes: Sequence[int], ndim: int) -> Overrides:
    """The overrides of one configuration, which works on `axes` of the images' `ndim` array axes.

    Raises InputError naming the flag and what it takes.
    """
    dim = len(axes)
    found = {flag: texts[f"{config}.{flag}"] for flag in FLAGS if f"{config}.{flag}" in texts}
    levels = _levels(found["levels"], dim) if "levels" in found else None
    steps = _counts("steps", found["steps"]) if "steps" in found else None
    if levels and steps and len(levels) != len(steps):
        where = f"--levels {found['levels']} --steps {found['steps']}"
        raise InputError(where, "as many steps as levels", f"{len(steps)} for {len(levels)} levels")
    channels = _counts("channels", found["channels"]) if "channels" in found else None
    if channels is not None and len(channels) != 1:
        raise _malformed("channels", found["channels"], "one whole number")
    if found.get("position", "no") not in ("yes", "no"):
        raise _malformed("position", found["position"], "yes or no")
    return Overrides(
        levels,
        steps,
        _spacing(found["spacing"], axes, ndim) if "spacing" in found else None,
        _per_axis("patch", found["patch"], dim) if "patch" in found else None,
        channels[0] if channels else None,
        found["position"] == "yes" if "position" in found else None,
    )


def _levels(text: str, dim: int) -> tuple[Factor, ...]:
    tokens = [token.removeprefix("/") for token in text.split()]
    levels = tuple(_per_axis("levels", token.replace("x", " "), dim) for token in tokens)
    if not levels or set(levels[-1]) != {1}:
        raise _malformed("levels", text, "downscale factors from the coarsest to 1")
    for coarse, fine in zip(levels, levels[1:], strict=False):
        if coarse == fine or any(c % f for c, f in zip(coarse, fine, strict=True)):
            raise _malformed("levels", text, "each factor a multiple of the next")
    return levels


def _per_axis(flag: str, text: str, dim: int) -> tuple[int, ...]:
    values = _counts(flag, text)
    if len(values) not in (1, dim):
        raise _malformed(flag, text, f"one value, or one for each of the {dim} axes of this configuration")
    return values if len(values) == dim else values * dim


def _counts(flag: str, text: str) -> tuple[int, ...]:
    try:
        values = tuple(int(token) for token in text.split())
    except ValueError:
        values = ()
    if not values or min(values) < 1:
        raise _malformed(flag, text, "whole numbers from 1")
    return values


def _spacing(text: str, axes: Sequence[int], ndim: int) -> tuple[float, ...]:
    """One value for all axes, one per axis of the configuration, or one per axis of the images, (z, y, x)."""
    try:
        values = tuple(float(token) for token in text.split())
    except ValueError:
        values = ()
    if not values or not all(0 < value < math.inf for value in values):
        raise _malformed("spacing", text, "positive numbers")
    if len(values) == 1:
        return values * len(axes)
    if len(values) == ndim:
        return tuple(values[axis] for axis in axes)  # the slicing axis keeps its spacing
    if len(values) == len(axes):
        return values
    raise _malformed("spacing", text, f"one value, or one for each of the {len(axes)} axes of this configuration")


def _malformed(flag: str, text: str, expected: str) -> InputError:
    return InputError(f"--{flag}", expected, repr(text), f"Give for example --{flag} {EXAMPLES[flag]}.")
