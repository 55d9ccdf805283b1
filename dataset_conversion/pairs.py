"""A folder of images and a folder of masks with the same names, in any format that can be read."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mednca_pipeline.datasets.channels import group_channels
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.formats.dicom import choose_series, find_series
from mednca_pipeline.runtime.images import read_labels, split_ending

from .conversion import Conversion, Options, RawCase, Write
from .formats import choose_format
from .images import Source, write_mapped_labels, write_mask
from .sources import case_name, count, existing_folder, image_files

DESCRIPTION = "any folder of images (-i) and a folder of masks with the same names (-l)"
_AFFIX = re.compile(r"(?i)[ _.-]+(mask|masks|seg|segmentation|label|labels|gt)$")
_CHANNEL = re.compile(r"(.+)_\d{4}")
_MOST_LABELS = 32  # more values are grey levels and not labels


def convert(options: Options) -> Conversion:
    """Images are copied if all have one format in which labels can be written too. Else they become PNG or NIfTI.

    A mask is named as its image, with or without _mask, _seg, _label or _gt. Images without a mask go to imagesTs.
    Several channels of an image are files with nnU-Net's suffixes. Without --threshold and --map, mask values are
    labels. If the folder holds no image files, the images are the DICOM series below it, with the names that
    mednca_predict gives them.
    """
    if options.masks is None:
        raise InputError("-l", "the folder of masks", "none", "Name it with -l.")
    if options.threshold is not None and options.mapping is not None:
        raise InputError("pairs", "--threshold or --map", "both", "Choose one.")
    masks = _masks(existing_folder(options.masks, "the masks"))
    images = _images(existing_folder(options.source, "the images"), masks, options.series)
    pairs = {name: mask for name in images if (mask := masks.get(name))}
    if not pairs:
        example, found = next(iter(images)), count(sorted(set(masks.values())), "mask")
        expected = f"masks named as their images, such as {example} or {example}_mask"
        raise InputError(options.masks, expected, found, "Rename them.")
    chosen = choose_format(images)
    cases = []
    for name, files in images.items():
        label = _label(options, pairs[name], files[0]) if name in pairs else None
        cases.append(RawCase(case_name(name), chosen.writes(files), label))
    labels = _label_names(_values(options, list(pairs.values())))
    notes = (*_notes(images, pairs, masks), *chosen.notes)
    return Conversion("", chosen.channel_names, labels, chosen.ending, tuple(cases), chosen.spacing_known, notes)


def _images(folder: Path, masks: dict[str, Path], series: Sequence[str]) -> dict[str, tuple[Source, ...]]:
    """The files of each image in channel order, or its DICOM series, by case.

    Four digits are a channel number if every image has them and no mask has the name of an image with the digits.
    """
    files = image_files(folder)
    if not files or series:
        return _series(folder, files, series)
    stems = [split_ending(file)[0] for file in files]
    endings = {split_ending(file)[1] for file in files}
    shortened = {stem: match[1] for stem in stems if (match := _CHANNEL.fullmatch(stem))}
    numbered = any(stem in masks and short not in masks for stem, short in shortened.items())
    if len(endings) == 1 and len(shortened) == len(files) and not numbered:
        names = set(shortened.values())
        cases, _ = group_channels(files, endings.pop(), len(files) // len(names), names & set(masks))
        return {name: files for name, files in cases}
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(folder, "one file per image", f"several named {twice[0]}", "Remove one of them.")
    return {stem: (file,) for stem, file in zip(stems, files, strict=True)}


def _series(folder: Path, files: Sequence[Path], choices: Sequence[str]) -> dict[str, tuple[Source, ...]]:
    if files:
        found = f"{count(files, 'image file')} in it"
        remedy = "Move them elsewhere, or leave out --series."
        raise InputError("--series", f"only DICOM series below {folder}", found, remedy)
    all_series = find_series(folder)
    if not all_series:
        expected = "images in a format that can be read, or DICOM series below it"
        raise InputError(folder, expected, "none", "Check -i.")
    return {series.name: (series.files,) for series in choose_series(all_series, choices)}


def _masks(folder: Path) -> dict[str, Path]:
    """Masks by the names of their images: a mask's own name, or else the name without an affix such as _mask."""
    files = [(split_ending(file)[0], file) for file in image_files(folder)]
    return {_AFFIX.sub("", stem): file for stem, file in reversed(files)} | dict(files)


def _label(options: Options, mask: Path, image: Source) -> Write:
    if options.threshold is not None:
        return partial(write_mask, [mask], options.threshold, image)
    return partial(write_mapped_labels, mask, options.mapping, image)


def _values(options: Options, masks: Sequence[Path]) -> list[int]:
    """The label values that will be written, without background. Raises InputError where masks hold no labels."""
    if options.threshold is not None:
        return [1]
    if options.mapping is not None:
        return sorted(set(options.mapping.values()) - {0})
    values: set[int] = set()
    for mask in masks:
        values |= set(np.unique(read_labels(mask).array).tolist()) - {0}
        if len(values) > _MOST_LABELS or 255 in values:
            found = "255" if values == {255} else f"{len(values)} values up to {max(values)}"
            remedy = "Add --map 255:1 for white masks, or --threshold 127 for grey masks."
            raise InputError(mask, "label values such as 0 and 1", found, remedy)
    if not values:
        raise InputError(masks[0].parent, "some foreground in the masks", "only 0", "Check -l.")
    return sorted(values)


def _label_names(values: Sequence[int]) -> dict[str, int]:
    if len(values) == 1:
        return {"background": 0, "foreground": values[0]}
    return {"background": 0} | {f"label_{value}": value for value in values}


def _notes(images: dict[str, tuple[Source, ...]], pairs: dict[str, Path], masks: dict[str, Path]) -> list[str]:
    notes = []
    if unlabelled := [name for name in images if name not in pairs]:
        notes.append(f"{count(unlabelled, 'image')} without a mask: in imagesTs.")
    if unused := sorted(set(masks.values()) - set(pairs.values())):
        notes.append(f"{count(unused, 'mask')} without an image: left out.")
    return notes
