"""A folder of predictions as a list to look through: flagged cases first, each with its image and its reference."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..evaluation.summary import label_files
from ..inference.inputs import images_by_case
from ..runtime.errors import InputError
from ..runtime.files import read_csv
from ..runtime.images import read_image, write_volume
from .server import given

TABLE = "quality.csv"
FIRST = ("review", "empty", "unproven", "uncalibrated", "not available", "", "ok")  # flags in the order of the list


@dataclass(frozen=True)
class ReviewCase:
    """A prediction. flag, reason, quality: of its row in quality.csv, "" where there is none.

    prediction, image, reference: their files; () where they were not given or do not exist.
    """

    name: str
    prediction: tuple[Path, ...]
    image: tuple[Path, ...] = ()
    reference: tuple[Path, ...] = ()
    flag: str = ""
    reason: str = ""
    quality: str = ""


def review_cases(predictions: Path, images: Path | None, references: Path | None) -> list[ReviewCase]:
    """Of a folder of label files: flagged ones first, and among equals the highest score.

    images: as mednca_predict takes them. Raises InputError for a folder without label files, and for a file that is a
    link to somewhere outside of its folder.
    """
    rows = _rows(predictions / TABLE)
    known = images_by_case(images) if images else {}
    true = label_files(references) if references else {}
    cases = []
    for name, file in label_files(predictions).items():
        row = rows.get(file.name, {})
        image = _inside(known[name].files if name in known else (), images)
        reference = _inside((true[name],) if name in true else (), references)
        told = (row.get("flag", ""), row.get("reason", ""), row.get("quality_foreground", ""))
        cases.append(ReviewCase(name, _inside((file,), predictions), image, reference, *told))
    return sorted(cases, key=lambda case: (FIRST.index(case.flag) if case.flag in FIRST else 0, -_number(case.quality)))


def as_nifti(files: tuple[Path, ...], scratch: Path) -> Callable[[], Path]:
    """The first channel of an image as NIfTI: its file, or one in `scratch` that is written when it is asked for."""
    if is_nifti(files[0]):
        return given(files[0])

    def converted() -> Path:
        copy = scratch / nifti_name(files[0])
        if not copy.exists():
            image = read_image(files)
            scratch.mkdir(parents=True, exist_ok=True)
            write_volume(copy, image.array[0], image.geometry)
        return copy

    return converted


def is_nifti(file: Path) -> bool:
    """Whether the page can read it as it is."""
    return file.name.lower().endswith((".nii", ".nii.gz"))


def nifti_name(file: Path) -> str:
    return file.name if is_nifti(file) else f"{file.name}.nii.gz"


def _rows(table: Path) -> Mapping[str, dict[str, str]]:
    """The rows of quality.csv by file; none where there is no table."""
    if not table.is_file():
        return {}
    names, *lines = read_csv(table) or [[]]
    rows = (dict(zip(names, line, strict=False)) for line in lines)
    return {row["file"]: row for row in rows if row.get("file")}


def _inside(files: tuple[Path, ...], given_folder: Path | None) -> tuple[Path, ...]:
    """The files. Raises InputError where one leads out of the folder, or out of that of a given file."""
    if given_folder is None:
        return files
    folder = (given_folder if given_folder.is_dir() else given_folder.parent).resolve()
    for file in files:
        if not (found := file.resolve()).is_relative_to(folder):
            raise InputError(file, f"a file in {folder}", f"a link to {found}", "Give the folder that holds it.")
    return files


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return -math.inf
    return value if math.isfinite(value) else math.inf
