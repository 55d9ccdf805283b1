"""What every converter returns, and the writing of it as a raw dataset: whole, or not at all."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import write_text
from mednca_pipeline.workspace import Workspace

Write = Callable[[Path], None]


@dataclass(frozen=True)
class Options:
    """What the command line says. All but the source are for `pairs` alone; series: as `choose_series` takes them."""

    source: Path
    masks: Path | None = None
    threshold: float | None = None
    mapping: Mapping[int, int] | None = None
    series: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawCase:
    """A case to be written: one function per channel file, each called with the path to write; and the label's.

    Without a label the case goes to imagesTs.
    """

    name: str
    images: tuple[Write, ...]
    label: Write | None = None


@dataclass(frozen=True)
class Conversion:
    """A dataset to be written. name: its default name. labels: {"background": 0, ...}. notes: for the user."""

    name: str
    channel_names: tuple[str, ...]
    labels: Mapping[str, int]
    file_ending: str
    cases: tuple[RawCase, ...]
    spacing_known: bool = True
    notes: tuple[str, ...] = ()


def new_folder(workspace: Workspace, number: int, name: str, force: bool) -> Path:
    """The folder for dataset `number`. Raises InputError where the number or the folder is taken already.

    A dataset of which only plans or results are here, as they come with the repository, does not take its number.
    """
    if not 1 <= number <= 999:
        raise InputError(f"-d {number}: expected a number from 1 to 999.")
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name, re.ASCII):
        raise InputError(f"--name: expected a name of letters, digits, _ and -, found {name!r}.")
    folder = workspace.new_raw_folder(number, name)
    others = [other for other in workspace.datasets_with_data() if other.startswith(f"Dataset{number:03d}_")]
    if any(other != folder.name for other in others):
        raise InputError(
            f"-d {number}: expected a free number, found that {', '.join(others)} has it already. "
            f"Choose another, or give that name with --name."
        )
    if not force and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: expected no such dataset yet, found one. Write over it with --force.")
    return folder


def write_dataset(conversion: Conversion, folder: Path, progress: Callable[[str], None] | None = None) -> None:
    """Writes the dataset into a temporary folder and moves it to `folder`, in place of one that is there.

    Raises InputError, leaving `folder` as it was, when a file of the source cannot be converted.
    """
    _check_cases(conversion)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{secrets.token_hex(4)}.{folder.name}")
    try:
        for place in ("imagesTr", "labelsTr"):
            (temporary / place).mkdir(parents=True)
        for case in conversion.cases:
            _write_case(case, conversion.file_ending, temporary)
            if progress:
                progress(case.name)
        text = json.dumps(_description(conversion), indent=1, ensure_ascii=False)  # not sorted: labels have an order
        write_text(temporary / "dataset.json", text + "\n")
        _replace(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_cases(conversion: Conversion) -> None:
    names = [case.name for case in conversion.cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"expected a name of its own for each case, found {', '.join(twice[:5])} more than once.")
    if not any(case.label for case in conversion.cases):
        raise InputError("expected labelled cases, found none.")


def _write_case(case: RawCase, ending: str, folder: Path) -> None:
    images = folder / ("imagesTr" if case.label else "imagesTs")
    images.mkdir(exist_ok=True)
    for channel, write in enumerate(case.images):
        write(images / f"{case.name}_{channel:04d}{ending}")
    if case.label:
        case.label(folder / "labelsTr" / f"{case.name}{ending}")


def _description(conversion: Conversion) -> dict:
    description = {
        "channel_names": {str(index): name for index, name in enumerate(conversion.channel_names)},
        "labels": dict(conversion.labels),
        "numTraining": sum(case.label is not None for case in conversion.cases),
        "file_ending": conversion.file_ending,
    }
    return description if conversion.spacing_known else description | {"spacing_known": False}


def _replace(folder: Path, new: Path) -> None:
    """Moves `new` to `folder`. What was there is out of the way first, and removed last."""
    old = folder.with_name(f".{secrets.token_hex(4)}.{folder.name}")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
