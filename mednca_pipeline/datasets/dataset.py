"""A raw dataset in nnU-Net's format: dataset.json, imagesTr, labelsTr and, where present, imagesTs, labelsTs."""

import os.path
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError
from ..runtime.images import output_ending, split_ending
from ..runtime.labels import Labels
from ..runtime.listing import listed
from ..runtime.names import check_name
from ..runtime.printing import printable
from .channels import group_channels
from .description import Description, read_description


@dataclass(frozen=True)
class Case:
    """One patient's image: a file per channel in order, or one file with all channels; and its label file."""

    name: str
    images: tuple[Path, ...]
    label: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """A raw dataset, as dataset.json and the names of the files describe it.

    spacing_known: False where distances can only be given in voxels. notes: unusual things that were accepted.
    num_training: "numTraining" of dataset.json. explicit: whether dataset.json names every file itself.
    """

    name: str
    folder: Path
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str
    spacing_known: bool
    training: tuple[Case, ...]
    test: tuple[Case, ...] = ()
    notes: tuple[str, ...] = ()
    num_training: int | None = None
    explicit: bool = False


def load_dataset(folder: Path | str) -> Dataset:
    """Reads dataset.json and the names of the files.

    Raises InputError when there is no valid dataset.json, no training case, or no image with a label of its name.
    `check_dataset` finds what is wrong with single files.
    """
    folder = Path(folder)
    described = read_description(folder)
    explicit = described.cases is not None
    training, notes = _explicit_cases(described) if explicit else _cases(described, "imagesTr", "labelsTr")
    if not training:
        raise _no_images(described)
    test, test_notes = _cases(described, "imagesTs", "labelsTs")
    _check_names(described, training)
    _check_names(described, test)
    if not any(case.label for case in training):
        raise _no_labels(described, training)
    return Dataset(
        folder.resolve().name,
        folder,
        described.channel_names,
        described.labels,
        described.file_ending,
        described.spacing_known,
        training,
        test,
        (*described.notes, *notes, *(f"imagesTs: {note}" for note in test_notes)),
        described.num_training,
        explicit,
    )


def visible_files(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without hidden ones (such as macOS's ._ files); [] when there is no folder."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def label_files(folder: Path, file_ending: str) -> dict[str, Path]:
    """Label files by case name. Labels of JPEG images are PNG."""
    endings = {file_ending, output_ending(file_ending)}
    files = ((split_ending(file), file) for file in visible_files(folder))
    return {stem: file for (stem, ending), file in files if ending in endings}


def _cases(described: Description, images: str, labels: str) -> tuple[tuple[Case, ...], list[str]]:
    labelled = label_files(described.folder / labels, described.file_ending)
    files = visible_files(described.folder / images)
    grouped, notes = group_channels(files, described.file_ending, len(described.channel_names), labelled)
    return tuple(Case(name, paths, labelled.get(name)) for name, paths in grouped), notes


def _explicit_cases(described: Description) -> tuple[tuple[Case, ...], list[str]]:
    """The cases of "dataset" in dataset.json. Paths are relative to the dataset's folder."""
    cases = []
    for name, entry in sorted((described.cases or {}).items()):
        images = entry.get("images") if isinstance(entry, dict) else None
        if isinstance(images, str):
            images = [images]
        where = f"{described.file}: dataset.{printable(name)}"
        check_name(where, name)
        if not images or not isinstance(images, list) or not isinstance(entry.get("label"), str):
            expected = '{"images": [files], "label": file}'
            raise InputError(where, expected, f"{entry!r:.80}")
        paths = tuple(_explicit_path(described, path, f"{where}.images") for path in images)
        cases.append(Case(name, paths, _explicit_path(described, entry["label"], f"{where}.label")))
    return tuple(cases), []


def _explicit_path(described: Description, path: object, where: str) -> Path:
    """A file that dataset.json names. Raises InputError for one that is outside of the dataset's folder unasked."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError(where, "a file", f"{path!r:.80}")
    if path.startswith("$"):
        raise InputError(where, "a path", path, "Variables are not expanded: write the path itself.")
    inside = os.path.normpath(path)
    if not described.allow_outside and (os.path.isabs(path) or inside.split(os.sep)[0] == os.pardir):
        remedy = f'Put the files there, or add "allow_outside": true to {described.file} if you trust it.'
        raise InputError(where, "a path inside the dataset's folder", path, remedy)
    return described.folder / path  # an absolute path replaces the folder


def _check_names(described: Description, cases: Sequence[Case]) -> None:
    """Raises InputError where two images claim one case."""
    owners: dict[str, Case] = {}
    for case in cases:
        check_name(f"{described.folder}: the case of {case.images[0].name}", case.name)
        owner = owners.setdefault(case.name, case)
        if owner is not case:
            found = f"{owner.images[0].name} and {case.images[0].name}"
            remedy = "Rename or remove one of them."
            raise InputError(described.folder, f"one image for case {case.name}", found, remedy)


def _no_images(described: Description) -> InputError:
    folder = described.folder / "imagesTr"
    if described.cases is not None:
        return InputError(f"{described.file}: dataset", "cases", "none", "Add them, or remove the key.")
    if not folder.is_dir():
        expected = "the training images in a folder imagesTr"
        return InputError(described.folder, expected, "no such folder", "Put the images there.")
    endings = sorted({split_ending(file)[1] or "no ending" for file in visible_files(folder)})
    found = f"files with {', '.join(endings)}" if endings else "an empty folder"
    remedy = f'Correct "file_ending" in {described.file}.' if endings else "Put the images there."
    return InputError(folder, f"images ending in {described.file_ending}", found, remedy)


def _no_labels(described: Description, training: Sequence[Case]) -> InputError:
    """The error where no label fits any image: most often a suffix _0000 is missing, or there is one too many."""
    ending, case = described.file_ending, training[0]
    wanted = f"{case.name}{output_ending(ending)}"
    labels = list(label_files(described.folder / "labelsTr", ending).values())
    if not labels:
        folder = described.folder / "labelsTr"
        return InputError(folder, f"a label file for each image, such as {wanted}", "none", "Put the labels there.")
    found = f"{_files(case.images)} in imagesTr and {_files(labels)} in labelsTr"
    if len(case.images) > len(described.channel_names):
        first = case.images[0].name
        renamed = f"{first[: -len(ending)]}_0000{first[-len(ending) :]}"
        remedy = (
            f"If each of the {len(case.images)} files that look like channels of case {case.name!r} is a case of its "
            f"own, add the channel suffix: rename {first} to {renamed}, and so on; then name its label {first}."
        )
    else:
        remedy = f"Name each label after its case: the label of {case.images[0].name} is {wanted}."
    return InputError(described.folder, "labels named after their images", found, remedy)


def _files(files: Sequence[Path]) -> str:
    names = [file.name for file in files]
    return f"{len(names)} file{'s' * (len(names) > 1)} ({listed(names, 3)})"
