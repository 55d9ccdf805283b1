"""What `-i` names: a folder of images with or without channel suffixes, DICOM series below it, or one file."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..datasets.channels import group_channels
from ..runtime.errors import InputError
from ..runtime.formats.dicom_series import Series, choose_series, find_series, is_dicom, series_in
from ..runtime.images import SUPPORTED, output_ending, split_ending, stored_files
from ..runtime.listing import listed

DICOM = ".dcm"
MOST_CHANNELS = 10_000  # of four digits
_CHANNEL = re.compile(r"(.+)_\d{4}")


@dataclass(frozen=True)
class InputCase:
    """One input. `ending` is that of its files (".dcm" for DICOM); `problem` says why it cannot be predicted."""

    name: str
    files: tuple[Path, ...]
    ending: str
    problem: InputError | None = None

    @property
    def output(self) -> str:
        """Name of the label file."""
        return f"{self.name}{output_ending(self.ending)}"


def find_inputs(path: Path | str, n_channels: int, series: Sequence[str] = ()) -> tuple[list[InputCase], list[str]]:
    """The inputs at `path`, sorted by name, and notes for the user.

    n_channels: of the trained model, to tell channel suffixes from names. series: the DICOM series to take from
    folders that hold several: uids, numbers within the folder, or "all".
    Raises InputError when there is nothing to predict or a series that does not exist is asked for. What is wrong
    with one input only (a folder with several series, a name taken twice) is that input's `problem`.
    """
    path = Path(path)
    if path.is_file():
        cases, notes = _from_files(_siblings(path, n_channels), n_channels)
    elif path.is_dir():
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        cases, notes = _from_files([entry for entry in entries if _is_image(entry)], n_channels)
        found = find_series(path)
        cases += _from_series(found, series)
        notes += _left_out(entries, cases, found)
    else:
        raise InputError(f"-i {path}", "a folder of images or one file", "nothing there", "Check the path.")
    if not cases:
        expected = f"images ({', '.join(SUPPORTED)}) in this folder, or DICOM series in it or below it"
        endings = sorted({split_ending(entry)[1] or "no ending" for entry in path.iterdir() if not entry.is_dir()})
        there = f"files with {listed(endings)}" if endings else "no file in it"
        raise InputError(f"-i {path}", expected, there, "Check the path, or convert the images.")
    return _without_collisions(sorted(cases, key=lambda case: (case.name, case.ending))), notes


def images_by_case(path: Path) -> dict[str, InputCase]:
    """The inputs at a `path` that mednca_predict takes, by every name that their predictions may have."""
    known: dict[str, InputCase] = {}
    series = ["all"] if path.is_dir() else []
    for n_channels in (1, MOST_CHANNELS):  # a number is a channel's, or a part of the name: mednca_predict knew
        known |= {found.name: found for found in find_inputs(path, n_channels, series)[0]}
    return known


def image_finder(path: Path, alone: bool = False) -> Callable[[str], tuple[Path, ...]]:
    """A function from the name of a prediction to the files of its image, at a `path` that mednca_predict takes.

    alone: a file at `path` is the image, whatever its name. The function raises InputError when there is none.
    """
    known = images_by_case(path)

    def find(case: str) -> tuple[Path, ...]:
        if alone and path.is_file() and case not in known:
            return (path,)
        if case not in known:
            remedy = "Name the folder of the images with -i."
            raise InputError(path, f"an image {case} or {case}_0000", listed(sorted(known), 3), remedy)
        if (problem := known[case].problem) is not None:
            raise problem
        return known[case].files

    return find


def _is_image(file: Path) -> bool:
    ending = split_ending(file)[1]
    return ending in SUPPORTED and ending != DICOM and not file.is_dir()


def _left_out(entries: Sequence[Path], cases: Sequence[InputCase], found: Sequence[Series]) -> list[str]:
    """A note on what is in a folder and is no input, or []."""
    taken = {file for case in cases if case.ending != DICOM for image in case.files for file in stored_files(image)}
    taken |= {file for series in found for file in series.files}
    folders = [series.folder for series in found]
    others = [
        entry.name
        for entry in entries
        if entry not in taken and not any(folder.is_relative_to(entry) for folder in folders)
    ]
    return [f"left out, because they are no images that can be read: {listed(others)}."] if others else []


def _siblings(file: Path, n_channels: int) -> list[Path]:
    """The file, and the other channels of its case where the model takes several and it is named as one of them."""
    stem, ending = split_ending(file)
    match = _CHANNEL.fullmatch(stem)
    if n_channels == 1 or not match:
        return [file]
    same_case = re.compile(re.escape(match[1]) + r"_\d{4}")
    others = (other for other in file.parent.iterdir() if split_ending(other)[1] == ending)
    return sorted(other for other in others if same_case.fullmatch(split_ending(other)[0]))


def _from_files(files: Sequence[Path], n_channels: int) -> tuple[list[InputCase], list[str]]:
    by_ending: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_ending[_ending(file)].append(file)
    cases, notes = [], []
    for ending, some in by_ending.items():
        if ending == DICOM:  # a single file that was named
            cases += [InputCase(split_ending(_whole(file))[0], (file,), DICOM) for file in some]
            continue
        grouped, more = group_channels(some, ending, n_channels)
        cases += [InputCase(name, tuple(paths), ending, _absence(paths)) for name, paths in grouped]
        notes += more
    return cases, notes


def _absence(files: Sequence[Path]) -> InputError | None:
    """The problem of a case with a file that is a link to nowhere, as git-annex and DataLad leave them."""
    for file in files:
        if not file.exists():
            remedy = "Fetch the file (git annex get, datalad get), or remove the link."
            return InputError(file, "an image", "a link to a file that is not there", remedy)
    return None


def _whole(file: Path) -> Path:
    """A DICOM file that is an image of its own. Raises InputError for a slice of a series: its folder is the image."""
    series = series_in(file.parent)
    own = next((found for found in series if file in found.files), None)
    if own is None or len(own.files) == 1:
        return file
    which = f" --series {own.index}" if len(series) > 1 else ""
    found = f"one of the {len(own.files)} slices of a DICOM series"
    raise InputError(f"-i {file}", "a whole image", found, f"Give the folder of the series: -i {file.parent}{which}")


def _ending(file: Path) -> str:
    ending = split_ending(file)[1]
    if ending in SUPPORTED:
        return ending
    if is_dicom(file):
        return DICOM
    raise InputError(file, f"a file ending in {', '.join(SUPPORTED)}, or DICOM", ending or "no ending")


def _from_series(found: Sequence[Series], choices: Sequence[str]) -> list[InputCase]:
    known = {"all"} | {text for series in found for text in (series.uid, str(series.index))}
    if not known.issuperset(choices):
        choose_series(found, choices)  # raises, listing what there is
    by_folder: dict[Path, list[Series]] = defaultdict(list)
    for series in found:
        by_folder[series.folder].append(series)
    cases = []
    for folder, several in by_folder.items():
        here = {"all"} | {text for series in several for text in (series.uid, str(series.index))}
        try:
            chosen = choose_series(several, [choice for choice in choices if choice in here])
            cases += [InputCase(series.name, series.files, DICOM) for series in chosen]
        except InputError as error:
            name = several[0].name.removesuffix("_series1")
            problem = error if error.where else error.at(folder)
            cases.append(InputCase(name, several[0].files, DICOM, problem))
    return cases


def _without_collisions(cases: Sequence[InputCase]) -> list[InputCase]:
    """Marks every input whose output an earlier one already has."""
    owners: dict[str, InputCase] = {}
    checked = []
    for case in cases:
        owner = owners.setdefault(case.output, case)
        if owner is not case:
            found = f"that {owner.files[0]} gives {case.output} as well"
            problem = InputError(case.files[0], "a name of its own", found, "Rename one of them.")
            case = replace(case, problem=problem)
        checked.append(case)
    return checked
