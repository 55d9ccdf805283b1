"""What every converter returns, and how it is written as a raw dataset: whole, or not at all."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mednca_pipeline.runtime.errors import InputError, raise_all
from mednca_pipeline.runtime.files import write_text
from mednca_pipeline.runtime.listing import listed
from mednca_pipeline.runtime.temporary import temporary_name, tidy_once
from mednca_pipeline.workspace import Workspace, replace_dataset

Write = Callable[[Path], None]


@dataclass(frozen=True)
class Options:
    """What the command line says. Only `pairs` uses more than the source. series: as `choose_series` takes them.

    labels: {value: name} of the label values that are written. channels: names of the images' channels.
    """

    source: Path
    masks: Path | None = None
    threshold: float | None = None
    mapping: Mapping[int, int] | None = None
    series: tuple[str, ...] = ()
    labels: Mapping[int, str] | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawCase:
    """A case to be written. images, label: functions that write a file to the path that they are called with.

    There is one function per channel file. Without a label the case goes to imagesTs.
    """

    name: str
    images: tuple[Write, ...]
    label: Write | None = None


@dataclass(frozen=True)
class Conversion:
    """A dataset to be written. name: the default name. labels: {"background": 0, ...}. notes: texts for the user.

    about: what the source says of itself, such as {"licence": "CC-BY-SA 4.0"}; a model card repeats it.
    """

    name: str
    channel_names: tuple[str, ...]
    labels: Mapping[str, int]
    file_ending: str
    cases: tuple[RawCase, ...]
    spacing_known: bool = True
    notes: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)


def new_folder(workspace: Workspace, number: int, name: str, force: bool) -> Path:
    """The folder for dataset `number`. Raises InputError where the number or the folder is taken already.

    A number is free if only plans or results have it, which may come with the repository.
    """
    if not 1 <= number <= 999:
        raise InputError("-d", "a number from 1 to 999", str(number))
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name, re.ASCII):
        raise InputError("--name", "a name of letters, digits, _ and -", repr(name))
    folder = workspace.new_raw_folder(number, name)
    others = [other for other in workspace.datasets_with_data() if other.startswith(f"Dataset{number:03d}_")]
    if any(other != folder.name for other in others):
        found = f"that {', '.join(others)} has it already"
        raise InputError(f"-d {number}", "a free number", found, "Choose another, or give that name with --name.")
    if not force and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "no such dataset yet", "one", "Write over it with --force.")
    return folder


def write_dataset(conversion: Conversion, folder: Path, progress: Callable[[str], None] | None = None) -> None:
    """Writes the dataset into a temporary folder, which then replaces `folder`.

    Raises InputError, leaving `folder` as it was, for all files of the source that cannot be converted. Killed at any
    moment, there is the old dataset or the new one (workspace.replace_dataset). What killed conversions left is
    removed.
    """
    _check_cases(conversion)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tidy_once(folder.parent)
    temporary = folder.with_name(temporary_name(folder.name))
    try:
        for place in ("imagesTr", "labelsTr"):
            (temporary / place).mkdir(parents=True)
        faults = []
        for case in conversion.cases:
            try:
                _write_case(case, conversion.file_ending, temporary)
            except InputError as error:
                faults.append(error)  # all of them are named in one go
            if progress:
                progress(case.name)
        raise_all(conversion.name or "the source", faults)
        text = json.dumps(_description(conversion), indent=1, ensure_ascii=False)  # not sorted: labels have an order
        write_text(temporary / "dataset.json", text + "\n")
        replace_dataset(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_cases(conversion: Conversion) -> None:
    names = [case.name for case in conversion.cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("case names", "a name of its own for each case", f"{listed(twice)} more than once")
    if not any(case.label for case in conversion.cases):
        raise InputError(conversion.name or "the source", "labelled cases", "none", "Check -i.")


def _write_case(case: RawCase, ending: str, folder: Path) -> None:
    images = folder / ("imagesTr" if case.label else "imagesTs")
    images.mkdir(exist_ok=True)
    for channel, write in enumerate(case.images):
        write(images / f"{case.name}_{channel:04d}{ending}")
    if case.label:
        case.label(folder / "labelsTr" / f"{case.name}{ending}")


def _description(conversion: Conversion) -> dict[str, object]:
    description: dict[str, object] = {
        **conversion.about,
        "channel_names": {str(index): name for index, name in enumerate(conversion.channel_names)},
        "labels": dict(conversion.labels),
        "numTraining": sum(case.label is not None for case in conversion.cases),
        "file_ending": conversion.file_ending,
    }
    return description if conversion.spacing_known else description | {"spacing_known": False}
