"""The channels of an image: their files, by nnU-Net's suffixes _0000, _0001, ... or none, and colours."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

RGB_NAMES = {"r", "g", "b", "red", "green", "blue"}
_SUFFIXED = re.compile(r"(.+)_(\d{4})")


def is_colour(channel_names: Sequence[str]) -> bool:
    """Whether the channels are red, green and blue."""
    return len(channel_names) == 3 and {name.strip().lower() for name in channel_names} <= RGB_NAMES


def group_channels(
    files: Iterable[Path], file_ending: str, n_channels: int, case_names: Collection[str] | None = None
) -> tuple[list[tuple[str, tuple[Path, ...]]], list[str]]:
    """Groups image files into cases. Returns [(case, its files in channel order)], sorted by case, and notes.

    files: files without `file_ending` (compared in lower case) are passed over.
    n_channels: channels of the dataset. One file may hold all channels of its case, such as RGB; the number of files is
        not judged here.
    case_names: names that are known to be whole cases, because labels have them. If "scan_0001" is one of these and
        "scan" is not, scan_0001.nii.gz is a case and not the second channel of "scan". None means that there are no
        labels. Several numbers under one name then are cases of their own if `n_channels` is 1 and other names have
        other numbers.
    Four digits at the end that cannot be channel numbers (no _0000 beside them, or beyond `n_channels`) belong to the
    name. A case comes twice when it has both a file with a suffix and a file without one.
    """
    known = set(case_names or ())
    suffixed: dict[str, dict[int, Path]] = defaultdict(dict)
    whole: list[tuple[str, Path]] = []
    for file in sorted(Path(file) for file in files):
        if not file.name.lower().endswith(file_ending.lower()):
            continue
        stem = file.name[: -len(file_ending)]
        match = _SUFFIXED.fullmatch(stem)
        if match and not (stem in known and match[1] not in known):
            suffixed[match[1]][int(match[2])] = file
        else:
            whole.append((stem, file))
    cases: list[tuple[str, tuple[Path, ...]]] = []
    numbered: list[tuple[str, Path]] = []
    # If several names have the same numbers from 0 on, they are images of several channels, whatever `n_channels` is.
    sets = {frozenset(channels) for channels in suffixed.values()}
    alike = len(suffixed) > 1 and len(sets) == 1 and (numbers := next(iter(sets))) == set(range(len(numbers)))
    for name, channels in suffixed.items():
        if case_names is None and n_channels == 1 and len(channels) > 1 and not alike:
            numbered += [(f"{name}_{index:04d}", file) for index, file in channels.items()]
        elif name in known or 0 in channels or (n_channels > 1 and max(channels) < n_channels):
            cases.append((name, tuple(channels[index] for index in sorted(channels))))
        else:
            whole += [(f"{name}_{index:04d}", file) for index, file in channels.items()]
    cases += [(name, (file,)) for name, file in (*whole, *numbered)]
    return sorted(cases), _notes(whole, numbered)


def _notes(whole: list[tuple[str, Path]], numbered: list[tuple[str, Path]]) -> list[str]:
    notes = []
    if whole:
        name, file = min(whole)
        count = "1 image has" if len(whole) == 1 else f"{len(whole)} images have"
        notes.append(
            f"{count} no channel suffix such as _0000: {file.name} is taken as the whole image of case {name}."
        )
    if numbered:
        name, file = min(numbered)
        notes.append(
            f"{len(numbered)} images differ in their last four digits, which cannot be channel numbers because the "
            f"dataset has one channel: {file.name} is taken as the whole image of case {name}."
        )
    return notes
