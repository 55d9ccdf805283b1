"""The DICOM series of a folder and its subfolders: found, named, chosen, and refused where slices are lost.

Case names come from folders; no tag that names a patient is ever used.
"""

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .dicom_elements import elements_fit
from .sitk import quiet, simpleitk

_INDEX = "DICOMDIR"  # names the files of a disc, and holds no image
_KIND = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.([\d.]+)")
# Kinds of DICOM files without an image: presentation states, reports, radiotherapy plans and structures, waveforms,
# registrations, documents.
_NO_IMAGE = (b"11.", b"88.", b"481.", b"9.", b"66", b"104.")


@dataclass(frozen=True)
class Series:
    """One DICOM series in one folder. `index` counts from 1 within the folder; `name` is made from folder names.

    problem: why the series cannot be used: files beside it that look like its slices cannot be read.
    """

    uid: str
    folder: Path
    files: tuple[Path, ...]
    name: str
    index: int = 1
    problem: InputError | None = None

    def __str__(self) -> str:
        return f"{self.index}: {self.uid} ({len(self.files)} files, first {self.files[0].name}) in {self.folder}"


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM files do, with or without a preamble."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would wait for ever
            return False
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        return False
    if start[128:] == b"DICM":
        return True
    group, length = start[:2], int.from_bytes(start[4:8], "little")
    plain = group in (b"\2\0", b"\x08\0") and start[3:4] == b"\0"
    return plain and (start[4:6].isalpha() and start[4:6].isupper() or 0 < length <= 64)


def find_series(folder: Path) -> list[Series]:
    """All series of a folder and its subfolders, sorted; [] when there are none.

    A folder's series are numbered in the order of their first files. The name of a series is its folder's path below
    `folder`, joined with "_" (the name of `folder` itself at the top), with "_series2" where a folder holds several.
    """
    folder = Path(folder)
    found: list[Series] = []
    names: set[str] = set()
    for place, subfolders, files in os.walk(folder):
        subfolders.sort()
        here = _series_in(Path(place), files)
        parts = Path(place).relative_to(folder).parts or (folder.resolve().name,)
        for index, (uid, slices, problem) in enumerate(here, start=1):
            name = "_".join(parts) + (f"_series{index}" if len(here) > 1 else "")
            while name in names:
                name += "_"
            names.add(name)
            found.append(Series(uid, Path(place), slices, name, index, problem))
    return found


def series_in(folder: Path) -> list[Series]:
    """The series of a folder without its subfolders, numbered as in `find_series`."""
    here = _series_in(folder, sorted(file.name for file in folder.iterdir() if not file.is_dir()))
    return [Series(uid, folder, files, "", index, problem) for index, (uid, files, problem) in enumerate(here, 1)]


def choose_series(found: Sequence[Series], choices: Sequence[str] = ()) -> list[Series]:
    """One series per folder: a series that is alone in its folder, and where there are several, those in `choices`.

    choices: uids, numbers (as counted within each folder), or "all".
    Raises InputError, listing the series, when a folder has several and none is chosen, or when a choice fits none; and
    the problem of a series that is chosen.
    """
    wanted = {str(choice).strip() for choice in choices}
    folders: dict[Path, list[Series]] = defaultdict(list)
    for series in found:
        folders[series.folder].append(series)
    unknown = wanted - {"all"} - {text for series in found for text in (series.uid, str(series.index))}
    chosen: list[Series] = []
    undecided: list[Series] = []
    for several in folders.values():
        fitting = [s for s in several if "all" in wanted or s.uid in wanted or str(s.index) in wanted]
        chosen += several if len(several) == 1 else fitting
        undecided += several if len(several) > 1 and not fitting else []
    if unknown:
        problem = f"that no series fits {', '.join(sorted(unknown))}"
    elif undecided:
        problem = "several in one folder"
    else:
        for series in chosen:
            if series.problem:
                raise series.problem
        return chosen
    listed = f"{problem}:\n{listing(undecided or found)}"
    raise InputError("", "one DICOM series per folder", listed, "Choose with --series NUMBER or UID.")


def listing(found: Sequence[Series]) -> str:
    return "\n".join(f"  {series}" for series in found)


def _series_in(folder: Path, files: list[str]) -> list[tuple[str, tuple[Path, ...], InputError | None]]:
    """(uid, files, problem) of each series that lies directly in `folder`, in the order of their first files."""
    slices = tuple(sorted(folder / file for file in files if is_dicom(folder / file)))
    if not slices:
        named = tuple(sorted(folder / file for file in files if _is_named_dicom(file)))
        return [("", named, _unread(folder, named, "a link to nowhere or a damaged file"))] if named else []
    gone = [folder / file for file in files if not (folder / file).exists()]
    if gone:  # GDCM then loses other files as well
        return [("", slices, _unread(folder, gone, "a link to a file that is not there"))]
    cut = [file for file in slices if not elements_fit(file)]
    if cut:
        return [("", slices, _unread(folder, cut, "a damaged or cut off file"))]
    sitk = simpleitk()
    with quiet(sitk):
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        names = {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid) for uid in uids}
    taken = {uid: tuple(sorted(Path(name) for name in names[uid])) for uid in uids}
    left = {folder / file for file in files}.difference(*taken.values())
    lost = sorted(file for file in left if _looks_like_a_slice(file, taken.values()))
    problem = _unread(folder, lost, "a damaged, cut off or empty file") if lost else None
    if not taken:
        return [("", slices, problem)] if problem else []
    return sorted(((uid, several, problem) for uid, several in taken.items()), key=lambda item: item[1])


def _is_named_dicom(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith((".dcm", ".ima"))


def _looks_like_a_slice(file: Path, taken: Iterable[tuple[Path, ...]]) -> bool:
    """Whether a file that belongs to no series should have been one of the slices beside it."""
    if file.name.startswith(".") or file.name.upper() == _INDEX:
        return False
    if is_dicom(file):
        with file.open("rb") as opened:
            kind = _KIND.search(opened.read(4096))
        return not (kind and kind[1].startswith(_NO_IMAGE))
    endings = {one.suffix.lower() for several in taken for one in several} | {".dcm", ".ima"}
    return file.suffix.lower() in endings or file.suffix[1:].isdecimal()


def _unread(folder: Path, files: Sequence[Path], what: str) -> InputError:
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    found = f"{what}, {files[0].name}{others}"
    remedy = "Export or download the series again, or move these files elsewhere if they do not belong to it."
    return InputError(folder, "DICOM slices that can be read", found, remedy)
