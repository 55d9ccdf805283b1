"""BUSI, breast ultrasound images (Al-Dhabyani et al. 2020), as published: benign/, malignant/, normal/."""

import re
from functools import partial
from pathlib import Path

from mednca_pipeline.runtime.errors import InputError

from .conversion import Conversion, Options, RawCase
from .images import is_coloured, write_grey, write_mask
from .sources import case_name, count, existing_folder, image_files

DESCRIPTION = "BUSI: folders benign, malignant and normal of PNG images and their _mask files"
THRESHOLD = 127
_CLASSES = ("benign", "malignant", "normal")
_MASK = re.compile(r"(.+?)_mask(_\d+)?")


def convert(options: Options) -> Conversion:
    """One label, lesion, from all masks of an image. Images are stored in grey: only some have coloured marks.

    Images of `normal` without a mask get an empty mask. Other images without a mask go to imagesTs: nobody outlined
    their lesion, which does not mean that they have none.
    """
    cases: list[RawCase] = []
    coloured, unlabelled = [], []
    for folder in _class_folders(existing_folder(options.source, DESCRIPTION)):
        images, masks = _sort(folder)
        for stem, image in images.items():
            found = masks.get(stem, [])
            labelled = bool(found) or folder.name == "normal"
            label = partial(write_mask, found, THRESHOLD, image) if labelled else None
            cases.append(RawCase(case_name(stem), (partial(write_grey, image),), label))
            if is_coloured(image):
                coloured.append(image)
            if not labelled:
                unlabelled.append(image)
    notes = ["images are stored as one grey channel: their red, green and blue are the same."]
    if coloured:
        notes.append(f"{count(coloured, 'image')} with coloured marks: turned to grey.")
    if unlabelled:
        notes.append(f"{count(unlabelled, 'image')} of lesions without a mask: in imagesTs.")
    labels = {"background": 0, "lesion": 1}
    return Conversion("BUSI", ("ultrasound",), labels, ".png", tuple(cases), False, tuple(notes))


def _class_folders(source: Path) -> list[Path]:
    """The folders of the three classes, below `source` or below its only folder (Dataset_BUSI_with_GT)."""
    for parent in (source, *sorted(entry for entry in source.iterdir() if entry.is_dir())):
        found = [parent / name for name in _CLASSES if (parent / name).is_dir()]
        if found:
            return found
    raise InputError(source, DESCRIPTION, "none of them", "Check -i.")


def _sort(folder: Path) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """Images by stem, and the masks of each stem."""
    images: dict[str, Path] = {}
    masks: dict[str, list[Path]] = {}
    for file in image_files(folder):
        match = _MASK.fullmatch(file.stem)
        if match:
            masks.setdefault(match[1], []).append(file)
        else:
            images[file.stem] = file
    orphans = [files[0] for stem, files in masks.items() if stem not in images]
    if orphans:
        found = f"{count(orphans, 'mask')} without"
        raise InputError(folder, "an image for each mask", found, "Complete the download.")
    return images, masks
