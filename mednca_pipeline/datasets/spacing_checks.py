"""Findings in the spacings of a dataset as a whole: what cannot be mm, and what lies far from the other cases."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..runtime.spacing import LARGEST_MM, Ranges, describe, describe_ranges, far_off, remedy
from .case_checks import CaseCheck
from .findings import FATAL, WARNING, Finding

_SMALLEST_EXTENT_MM = 1.0
_UNKNOWN = 'If distances mean nothing in this dataset, write "spacing_known": false in dataset.json.'

Spacings = Mapping[str, tuple[float, ...]]  # of cases, by name


def spacing_findings(
    training: Sequence[CaseCheck], checked: Sequence[CaseCheck], files: Mapping[str, Path], spacing_known: bool
) -> Iterator[Finding]:
    """One finding per case of `checked` with a spacing too large for mm, or at least 20 times off the median.

    The median is that of the training cases; of an even number, both middle values count, so that of two cases that
    differ both are named. files: the image of each case.
    """
    sound = _sound(training, spacing_known)
    middles = _middles(sound)
    odd = {check.name for check in training if _odd_axes(check, middles, spacing_known)}
    for check in checked:
        axes = _odd_axes(check, middles, spacing_known)
        if not axes:
            continue
        others = {name: spacing for name, spacing in sound.items() if name != check.name}
        others = {name: spacing for name, spacing in others.items() if name not in odd} or others
        comparable = others and len(check.spacing_mm) == len(middles)
        expected = _as_others(others, axes) if comparable else f"less than {LARGEST_MM:g} mm along each axis"
        mended = remedy(check.unit) if comparable else f"{remedy(check.unit)} {_UNKNOWN}"
        found = describe(check.spacing_mm, axes, check.unit)
        yield Finding(FATAL, check.name, files[check.name], found, expected, mended)


def tiny_images(training: Sequence[CaseCheck], files: Mapping[str, Path]) -> Iterator[Finding]:
    """One warning where most images are too small for mm: often their header is in another unit."""
    tiny = [check for check in training if check.spacing_mm and max(_extents_mm(check)) < _SMALLEST_EXTENT_MM]
    if 2 * len(tiny) < max(len(training), 1):  # fewer are far off the others
        return
    first = tiny[0]
    sides = " x ".join(f"{side:.3g}" for side in _extents_mm(first))
    unit = f", as the header is in {first.unit}" if first.unit else ""
    found = f"an image of {sides} mm{unit} ({len(tiny)} of {len(training)} images are so small)"
    expected = f"images larger than {_SMALLEST_EXTENT_MM:g} mm, unless a microscope took them"
    yield Finding(WARNING, first.name, files[first.name], found, expected, f"Nothing if so. {remedy(first.unit)}")


def with_others(finding: Finding, training: Sequence[CaseCheck], spacing_known: bool) -> Finding:
    """A finding of a spacing that cannot be read also says what the other cases have."""
    others = {name: spacing for name, spacing in _sound(training, spacing_known).items() if name != finding.case}
    if not finding.about_spacing or not others:
        return finding
    axes = range(len(next(iter(others.values()))))
    return replace(finding, expected=f"{finding.expected}: {_as_others(others, axes)}")


def _odd_axes(check: CaseCheck, middles: Ranges, spacing_known: bool) -> tuple[int, ...]:
    axes = {axis for axis, value in enumerate(check.spacing_mm) if spacing_known and value >= LARGEST_MM}
    if len(check.spacing_mm) == len(middles):
        axes |= {axis for side in zip(*middles, strict=True) for axis in far_off(check.spacing_mm, _points(side))}
    return tuple(sorted(axes))


def _points(values: Sequence[float]) -> Ranges:
    return [(value, value) for value in values]


def _sound(training: Sequence[CaseCheck], spacing_known: bool) -> Spacings:
    """The spacings that can be mm, of the cases with the usual number of axes."""
    found = {check.name: check.spacing_mm for check in training if check.spacing_mm}
    found = {name: spacing for name, spacing in found.items() if not spacing_known or max(spacing) < LARGEST_MM}
    usual = Counter(map(len, found.values())).most_common(1)
    return {name: spacing for name, spacing in found.items() if len(spacing) == usual[0][0]}


def _middles(spacings: Spacings) -> list[tuple[float, float]]:
    """Per axis: the two middle values, which are one for an odd number of cases. [] without any case."""
    columns = [sorted(values) for values in zip(*spacings.values(), strict=True)]
    return [(values[(len(values) - 1) // 2], values[len(values) // 2]) for values in columns]


def _as_others(others: Spacings, axes: Sequence[int]) -> str:
    ranges = [(min(values), max(values)) for values in zip(*others.values(), strict=True)]
    count = f"the {len(others)} other cases have" if len(others) > 1 else "the other case has"
    return f"{describe_ranges(ranges, axes)}, as {count}"


def _extents_mm(check: CaseCheck) -> list[float]:
    return [size * spacing for size, spacing in zip(check.shape, check.spacing_mm, strict=True)]
