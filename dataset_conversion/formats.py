"""The format in which all images of a dataset are stored, and how each image is brought into it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mednca_pipeline.datasets.description import PICTURES
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import read_header, split_ending

from .conversion import Write
from .images import Source, copy, is_coloured, place, write_channel, write_colour, write_grey

_COPIED = (".png", ".tif", ".tiff", ".bmp", ".nii.gz", ".nii", ".nrrd", ".mha")  # one file each, labels writable


@dataclass(frozen=True)
class Format:
    """writes: takes the files of one case and returns the functions that write its files in the raw dataset."""

    channel_names: tuple[str, ...]
    ending: str
    spacing_known: bool
    writes: Callable[[tuple[Source, ...]], tuple[Write, ...]]
    notes: tuple[str, ...] = ()


def choose_format(cases: Mapping[str, tuple[Source, ...]]) -> Format:
    """Looks at all files of all cases. Raises InputError where they do not fit together in one dataset."""
    counts = {len(files) for files in cases.values()}
    if len(counts) > 1:
        odd = min(cases, key=lambda name: len(cases[name]))
        expected = f"{max(counts)} channels as other images have"
        raise InputError(place(cases[odd][0]), expected, str(len(cases[odd])))
    files = [file for channels in cases.values() for file in channels]
    endings = {".dcm" if isinstance(file, tuple) else split_ending(file)[1] for file in files}
    if endings <= set(PICTURES):
        return _pictures([place(file) for file in files], endings, counts.pop())
    if endings & set(PICTURES):
        found = f"{', '.join(sorted(endings))} together"
        raise InputError(place(files[0]).parent, "pictures or volumes", found, "Convert them separately.")
    return _volumes(files, endings, counts.pop())


def _pictures(files: list[Path], endings: set[str], n_files: int) -> Format:
    """Colour as one RGB file where any picture is coloured, else grey."""
    coloured = n_files == 1 and any(is_coloured(file) for file in files)
    channels = 3 if coloured else 1
    names = ("R", "G", "B") if coloured else _names(n_files)
    as_is = len(endings) == 1 and endings <= set(_COPIED)
    if as_is and all(read_header(file).channels == channels for file in files):
        return Format(names, endings.pop(), False, _each(copy))
    notes = (f"images are stored as {'RGB' if coloured else 'grey'} PNG.",)
    return Format(names, ".png", False, _each(write_colour if coloured else write_grey), notes)


def _volumes(files: list[Source], endings: set[str], n_files: int) -> Format:
    counts = {read_header(file).channels for file in files}
    if len(counts) > 1:
        numbers = ", ".join(map(str, sorted(counts)))
        raise InputError(place(files[0]).parent, "images with equal numbers of channels", numbers)
    channels = counts.pop()
    hint = "intensities are z-scored unless the channel is called CT (--channel CT)."
    names = _names(n_files * channels)
    if channels == 1 and len(endings) == 1 and endings <= set(_COPIED):
        return Format(names, endings.pop(), True, _each(copy), (hint,))
    return Format(names, ".nii.gz", True, partial(_split, channels), (hint, "images are stored as .nii.gz."))


def _each(write: Callable[[Path, Path], None]) -> Callable[[tuple[Source, ...]], tuple[Write, ...]]:
    return lambda files: tuple(partial(write, place(file)) for file in files)


def _split(channels: int, files: tuple[Source, ...]) -> tuple[Write, ...]:
    return tuple(partial(write_channel, file, channel) for file in files for channel in range(channels))


def _names(channels: int) -> tuple[str, ...]:
    return ("image",) if channels == 1 else tuple(f"channel_{index}" for index in range(channels))
