"""Where predictions may be written: nowhere that anything of the user's is."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import InputError

if TYPE_CHECKING:
    from .inputs import InputCase

RAW_FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")


def check_folders(source: Path, out: Path) -> None:
    """What can be said at once, before anything is read or imported.

    Raises InputError when there is nothing at `source`, when `out` lies in a raw dataset, is no folder, or cannot be
    written into.
    """
    if not source.exists():
        raise InputError(f"-i {source}", "a folder of images or one file", "nothing there", "Check the path.")
    _check_no_dataset(out)
    there = next(folder for folder in (out, *out.parents) if os.path.lexists(folder))
    if not there.is_dir():
        raise InputError(f"-o {out}", "a folder, or nothing yet", f"a file {there}", "Choose another one.")
    if not os.access(there, os.W_OK | os.X_OK):
        remedy = "Choose another one, or have it changed."
        raise InputError(f"-o {out}", "a folder to write into", f"that {there} is read-only for you", remedy)


def check_output_folder(source: Path, cases: Sequence["InputCase"], out: Path) -> None:
    """Raises InputError when outputs in `out` would overwrite inputs or be taken for inputs the next time."""
    check_folders(source, out)
    inputs = {file.resolve() for case in cases for file in case.files}
    if out.resolve() == source.resolve() or any((out / case.output).resolve() in inputs for case in cases):
        remedy = "Choose another one: the images would be overwritten."
        raise InputError(f"-o {out}", "another folder than the images'", "the same", remedy)


def _check_no_dataset(out: Path) -> None:
    for folder in _with_parents((out, out.resolve())):
        if folder.name in RAW_FOLDERS:
            found = f"the folder {folder} of one"
        elif (folder / "dataset.json").is_file() or any((folder / name).is_dir() for name in RAW_FOLDERS):
            found = f"the dataset {folder}"
        else:
            continue
        remedy = "Choose another one: predictions among the labels of a dataset would be taken for the truth."
        raise InputError(f"-o {out}", "a folder outside of raw datasets", found, remedy)


def _with_parents(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(folder for path in paths for folder in (path, *path.parents)))
