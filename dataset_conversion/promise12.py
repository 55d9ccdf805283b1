"""PROMISE12, prostate in T2 MRI (Litjens et al. 2014): the challenge's files, or images/ and labels/ of NIfTI files."""

import re
from functools import partial
from pathlib import Path

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import read_header, split_ending

from .conversion import Conversion, Options, RawCase
from .images import copy, write_channel, write_mapped_labels
from .sources import case_name, count, existing_folder, image_files

DESCRIPTION = "PROMISE12: CaseNN.mhd with CaseNN_segmentation.mhd, or folders images and labels of NIfTI files"
ENDING = ".nii.gz"
_SEGMENTATION = re.compile(r"(.+)_segmentation", re.IGNORECASE)


def convert(options: Options) -> Conversion:
    """Images without a segmentation (the challenge's test cases) go to imagesTs.

    If every image claims 1 mm in all directions, which no prostate scan has, the spacing was lost in resampling. The
    dataset is then marked `spacing_known: false`.
    """
    source = existing_folder(options.source, DESCRIPTION)
    pairs = _resampled(source) if (source / "images").is_dir() else _challenge(source)
    if not pairs:
        raise InputError(source, DESCRIPTION, "neither", "Check -i.")
    cases = [_case(image, label) for image, label in pairs]
    spacing_known = any(set(read_header(image).spacing_mm) != {1.0} for image, _ in pairs)
    notes = []
    if not spacing_known:
        notes.append("every image says 1 mm, which is not true of prostate MRI: distances will be in voxels.")
    without = [image for image, label in pairs if label is None]
    if without:
        notes.append(f"{count(without, 'image')} without a label: in imagesTs.")
    labels = {"background": 0, "prostate": 1}
    return Conversion("PROMISE12", ("T2",), labels, ENDING, tuple(cases), spacing_known, tuple(notes))


def _resampled(source: Path) -> list[tuple[Path, Path | None]]:
    labels = {file.name: file for file in image_files(existing_folder(source / "labels", "the labels"))}
    return [(image, labels.get(image.name)) for image in image_files(source / "images")]


def _challenge(source: Path) -> list[tuple[Path, Path | None]]:
    """The files may lie in several folders (TrainingData_Part1, ...)."""
    files = sorted(path for path in source.rglob("*.mhd") if not path.name.startswith("."))
    matches = {file: _SEGMENTATION.fullmatch(file.stem) for file in files}
    labels = {match[1].lower(): file for file, match in matches.items() if match}
    images = sorted((file for file, match in matches.items() if not match), key=lambda file: file.name)
    return [(image, labels.get(image.stem.lower())) for image in images]


def _case(image: Path, label: Path | None) -> RawCase:
    name, ending = split_ending(image)
    if ending == ENDING:
        return RawCase(case_name(name), (partial(copy, image),), partial(copy, label) if label else None)
    writes = (partial(write_channel, image, 0),)
    return RawCase(case_name(name), writes, partial(write_mapped_labels, label, None, image) if label else None)
