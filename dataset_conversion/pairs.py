"""A folder of images and a folder of masks with the same names, in any format that can be read."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mednca_pipeline.datasets.channels import group_channels
from mednca_pipeline.runtime.errors import InputError, raise_all
from mednca_pipeline.runtime.formats.dicom_series import choose_series, find_series
from mednca_pipeline.runtime.formats.sitk import SEGMENTATION
from mednca_pipeline.runtime.formats.text_headers import segment_values
from mednca_pipeline.runtime.images import read_labels, split_ending

from .conversion import Conversion, Options, RawCase, Write
from .formats import choose_format
from .images import Source, write_mapped_labels, write_mask
from .sources import case_name, count, existing_folder, image_files, left_out

DESCRIPTION = "any folder of images (-i) and a folder of masks with the same names (-l)"
_AFFIX = re.compile(r"(?i)[ _.-]+(masks?|seg|segmentation|labels?|gt|groundtruth|annotations?)$")
_CHANNEL = re.compile(r"(.+)_\d{4}")
_GREY = "Add --map 255:1 for white masks, or --threshold 127 for grey masks."
_MOST_LABELS = 32  # more values are grey levels and not labels


def convert(options: Options) -> Conversion:
    """Images are copied if all have one format in which labels can be written too. Else they become PNG or NIfTI.

    A mask is named as its image, with or without _mask, _seg, _label or _gt. Images and masks may lie in one folder;
    the masks then have such an affix. Images without a mask go to imagesTs. Several channels of an image are files with
    nnU-Net's suffixes. Without --threshold and --map, mask values are labels, and the segmentations of 3D Slicer have
    the labels of their segments' names. If the folder holds no image files, the images are the DICOM series below it,
    with the names that mednca_predict gives them.
    """
    if options.masks is None:
        raise InputError("-l", "the folder of masks", "none", "Name it with -l.")
    if options.threshold is not None and options.mapping is not None:
        raise InputError("pairs", "--threshold or --map", "both", "Choose one.")
    folder, of_masks = existing_folder(options.source, "the images"), existing_folder(options.masks, "the masks")
    together = folder.resolve() == of_masks.resolve()
    masks = _masks(of_masks, only_affixed=together)
    images = _images(folder, masks, options.series)
    pairs = {name: mask for name in images if (mask := masks.get(name))}
    for name, mask in pairs.items():
        if mask.resolve() in {file.resolve() for source in images[name] for file in _files(source)}:
            raise InputError(mask, "an image and a mask", "one file for both", "Check -i and -l.")
    if not pairs:
        example, found = next(iter(images)), count(sorted(set(masks.values())), "mask")
        expected = f"masks named as their images, such as {example} or {example}_mask"
        raise InputError(options.masks, expected, found, "Rename them.")
    chosen = choose_format(images)
    segments = _segments(options, list(pairs.values()))
    names = segments or _label_names(options, _values(options, list(pairs.values())))
    cases = []
    for name, files in images.items():
        label = _label(options, pairs[name], files[0], segments) if name in pairs else None
        cases.append(RawCase(case_name(name), chosen.writes(files), label))
    notes = [*_notes(images, pairs, masks), *chosen.notes]
    taken = [file for source in images.values() for one in source for file in _files(one)]
    for place in {folder, of_masks}:
        notes += left_out(place, [*masks.values(), *taken]) if image_files(place) else []
    channels = _channels(options, chosen.channel_names)
    return Conversion("", channels, names, chosen.ending, tuple(cases), chosen.spacing_known, tuple(notes))


def _files(source: Source) -> tuple[Path, ...]:
    return source if isinstance(source, tuple) else (source,)


def _channels(options: Options, found: tuple[str, ...]) -> tuple[str, ...]:
    if options.channels and len(options.channels) != len(found):
        expected = f"{len(found)} names, one for each channel of the images"
        raise InputError("--channel", expected, ", ".join(options.channels))
    return options.channels or found


def _images(folder: Path, masks: dict[str, Path], series: Sequence[str]) -> dict[str, tuple[Source, ...]]:
    """The files of each image in channel order, or its DICOM series, by case.

    Four digits are a channel number if every image has them and no mask has the name of an image with the digits.
    """
    files = [file for file in image_files(folder) if file not in masks.values()]
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
        raise InputError(
            folder, "one file per image", f"several named {', '.join(twice)}", "Remove all but one of each."
        )
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


def _masks(folder: Path, only_affixed: bool) -> dict[str, Path]:
    """Masks by the names of their images: a mask's own name, or else the name without an affix such as _mask.

    only_affixed: passes over files without an affix, which are the images.
    """
    files = [(split_ending(file)[0], file) for file in image_files(folder)]
    affixed = {_AFFIX.sub("", stem): file for stem, file in reversed(files) if _AFFIX.search(stem)}
    if only_affixed and not affixed:
        example = next((stem for stem, _ in files), "scan")
        expected = f"masks in the images' folder to be named so, such as {example}_mask"
        raise InputError(folder, expected, "none", "Rename the masks, or put them into a folder of their own.")
    return affixed if only_affixed else affixed | dict(files)


def _label(options: Options, mask: Path, image: Source, segments: Mapping[str, int]) -> Write:
    if options.threshold is not None:
        return partial(write_mask, [mask], options.threshold, image)
    if segments:
        mapping = {value: segments[name] for name, value in segment_values(mask).items()}
        return partial(write_mapped_labels, mask, mapping, image)
    return partial(write_mapped_labels, mask, options.mapping, image)


def _segments(options: Options, masks: Sequence[Path]) -> dict[str, int]:
    """{"background": 0, name: label, ...} where all masks are segmentations of 3D Slicer; else {}.

    A name has one label in the dataset, whatever its value in each file is.
    """
    named = all(mask.name.lower().endswith(SEGMENTATION) for mask in masks)
    if not named or options.threshold is not None or options.mapping is not None:
        return {}
    names = dict.fromkeys(name for mask in masks for name in segment_values(mask))
    return {"background": 0} | {name: label for label, name in enumerate(names, start=1)}


def _values(options: Options, masks: Sequence[Path]) -> list[int]:
    """The label values that will be written, without background. Raises InputError where masks hold no labels."""
    if options.threshold is not None:
        return [1]
    if options.mapping is not None:
        return sorted(set(options.mapping.values()) - {0})
    values: set[int] = set()
    faults = []
    for mask in masks:
        try:
            values |= _values_of(mask)
        except InputError as error:
            faults.append(error)
    raise_all(masks[0].parent, faults)
    if len(values) > _MOST_LABELS:
        found = f"{len(values)} values up to {max(values)}"
        raise InputError(masks[0].parent, "label values such as 0 and 1", found, _GREY)
    if not values:
        raise InputError(masks[0].parent, "some foreground in the masks", "only 0", "Check -l.")
    return sorted(values)


def _values_of(mask: Path) -> set[int]:
    values = set(np.unique(read_labels(mask).array).tolist()) - {0}
    if len(values) > _MOST_LABELS or 255 in values:
        found = "255" if values == {255} else f"{len(values)} values up to {max(values)}"
        raise InputError(mask, "label values such as 0 and 1", found, _GREY)
    return values


def _label_names(options: Options, values: Sequence[int]) -> dict[str, int]:
    """Names of the label values. Raises InputError where several values have none."""
    names = dict(options.labels or {})
    if not names and len(values) == 1:
        return {"background": 0, "foreground": values[0]}
    if unnamed := [str(value) for value in values if value not in names]:
        example = " ".join(f"{value}:NAME" for value in values)
        raise InputError(
            "--labels", "a name for each label value", f"none for {', '.join(unnamed)}", f"Add --labels {example}."
        )
    if unknown := [name for value, name in names.items() if value not in values]:
        found = f"{', '.join(unknown)}, which no mask has"
        raise InputError("--labels", f"names of the values {', '.join(map(str, values))}", found, "Check the masks.")
    return {"background": 0} | {name: value for value, name in sorted(names.items())}


def _notes(images: dict[str, tuple[Source, ...]], pairs: dict[str, Path], masks: dict[str, Path]) -> list[str]:
    notes = []
    if unlabelled := [name for name in images if name not in pairs]:
        notes.append(f"{count(unlabelled, 'image')} without a mask: in imagesTs.")
    if unused := sorted(set(masks.values()) - set(pairs.values())):
        notes.append(f"{count(unused, 'mask')} without an image: left out.")
    return notes
