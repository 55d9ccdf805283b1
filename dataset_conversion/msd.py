"""The Medical Segmentation Decathlon (Antonelli et al. 2022): any of its ten tasks, as downloaded."""

import json
import re
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import read_json, replacing
from mednca_pipeline.runtime.images import read_header

from .conversion import Conversion, Options, RawCase, Write
from .images import copy
from .sources import case_name, count, existing_folder, image_files

DESCRIPTION = "a task of the Medical Segmentation Decathlon, such as Task04_Hippocampus"
ENDING = ".nii.gz"
ABOUT = ("description", "reference", "licence")


def convert(options: Options) -> Conversion:
    """Converts the cases in the folders, so that a part of a task can be converted too.

    dataset.json names channels and labels. Files are copied; an image with a fourth axis is split into one file per
    channel.
    """
    source = existing_folder(options.source, DESCRIPTION)
    file = source / "dataset.json"
    data = read_json(file)
    if not isinstance(data, dict) or not isinstance(data.get("modality"), dict):
        expected = 'the dataset.json of the Decathlon with "modality" and "labels"'
        raise InputError(file, expected, "another one", "Check -i.")
    channels = tuple(name for _, name in sorted(data["modality"].items(), key=lambda item: int(item[0])))
    training, notes = _training(source, channels)
    test = [_case(image, None, channels) for image in _images(source / "imagesTs")]
    listed = data.get("training")
    if isinstance(listed, list) and len(listed) > len(training):
        notes.append(f"{len(training)} of the {len(listed)} training cases in dataset.json are there: those are used.")
    labels = _labels(data.get("labels"), file)
    about = {key: data[key] for key in ABOUT if isinstance(data.get(key), str)}
    return Conversion(_name(source, data), channels, labels, ENDING, (*training, *test), True, tuple(notes), about)


def _training(source: Path, channels: tuple[str, ...]) -> tuple[list[RawCase], list[str]]:
    images = _images(existing_folder(source / "imagesTr", "the training images"))
    labels = {label.name: label for label in _images(existing_folder(source / "labelsTr", "the labels"))}
    without = [image for image in images if image.name not in labels]
    if without:
        found = f"none for {count(without, 'image')}"
        remedy = "Complete the download, or remove these images."
        raise InputError(source / "labelsTr", "a label for each image", found, remedy)
    unused = sorted(set(labels) - {image.name for image in images})
    notes = [f"{count(unused, 'label')} without an image: left out."] if unused else []
    return [_case(image, labels[image.name], channels) for image in images], notes


def _images(folder: Path) -> list[Path]:
    return [file for file in image_files(folder) if file.name.endswith(ENDING)] if folder.is_dir() else []


def _case(image: Path, label: Path | None, channels: tuple[str, ...]) -> RawCase:
    writes: tuple[Write, ...] = (partial(_copy_single, image),)
    if len(channels) > 1:
        writes = tuple(partial(_write_channel, image, index, len(channels)) for index in range(len(channels)))
    return RawCase(case_name(image.name[: -len(ENDING)]), writes, partial(copy, label) if label else None)


def _copy_single(image: Path, target: Path) -> None:
    _check_channels(image, 1)
    copy(image, target)


def _write_channel(image: Path, channel: int, n_channels: int, target: Path) -> None:
    """Writes one volume of a 4D image in the file's own type (float32 where the header scales the values)."""
    _check_channels(image, n_channels)
    loaded = nib.load(image)
    assert isinstance(loaded, nib.Nifti1Pair)  # by the file's ending
    volume = np.asanyarray(loaded.dataobj[..., channel])
    if volume.dtype == np.float64:
        volume = volume.astype(np.float32)
    header = loaded.header.copy()
    header.set_data_dtype(volume.dtype)
    with replacing(target) as temporary:
        nib.save(nib.Nifti1Image(volume, loaded.affine, header), temporary)


def _check_channels(image: Path, expected: int) -> None:
    found = read_header(image).channels
    if found != expected:
        raise InputError(image, f'{expected} channels as in "modality" of dataset.json', str(found))


def _labels(labels: object, file: Path) -> dict[str, int]:
    """{"0": "background", "1": "Anterior"} -> {"background": 0, "Anterior": 1}."""
    if not isinstance(labels, dict) or "0" not in labels or not all(str(value).isdigit() for value in labels):
        expected = 'an object such as {"0": "background", "1": "liver"}'
        raise InputError(f"{file}: labels", expected, f"{json.dumps(labels):.200}")
    names = {int(value): str(name) for value, name in labels.items()}
    return {"background": 0} | {names[value]: value for value in sorted(names) if value != 0}


def _name(source: Path, data: dict[str, object]) -> str:
    """Task04_Hippocampus -> Hippocampus; for any other folder the name in dataset.json."""
    match = re.fullmatch(r"Task\d+_(.+)", source.resolve().name)
    return case_name(match[1] if match else str(data.get("name") or source.resolve().name))
