"""Finding the parts of a downloaded dataset, and telling the user what is missing."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mednca_pipeline.runtime.errors import InputError, raise_all
from mednca_pipeline.runtime.images import SUPPORTED, split_ending, stored_files
from mednca_pipeline.runtime.listing import listed


def existing_folder(path: Path, what: str) -> Path:
    """`path` itself. Raises InputError when it is no folder."""
    if not path.is_dir():
        raise InputError(path, f"a folder, {what}", "a file" if path.exists() else "nothing", "Check the path.")
    return path


def subfolder(source: Path, names: Sequence[str], what: str) -> Path:
    """The first of `source`'s folders that has one of `names`. Raises InputError when there is none."""
    existing_folder(source, what)
    for name in names:
        if (source / name).is_dir():
            return source / name
    present = ", ".join(sorted(entry.name for entry in source.iterdir() if entry.is_dir())) or "no folder"
    raise InputError(source, f"{what} with a folder {' or '.join(names)}", present, "Check -i.")


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name; hidden ones (such as macOS's ._ files) are passed over.

    Raises InputError for all links to files that are not there, as git-annex and DataLad leave them.
    """
    visible = (path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    files = sorted(path for path in visible if split_ending(path)[1] in SUPPORTED)
    remedy = "Fetch the file (git annex get, datalad get), or remove the link."
    dangling = [file for file in files if not file.exists()]
    raise_all(folder, [InputError(file, "an image", "a link to a file that is not there", remedy) for file in dangling])
    return files


def left_out(folder: Path, taken: Iterable[Path]) -> list[str]:
    """A note on what is in a folder and was not taken, or []. taken: image files; their voxels may lie beside them."""
    known = {file.resolve() for image in taken for file in stored_files(image)}
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    others = [path for path in visible if path.resolve() not in known]
    return [f"{folder}: {count(others, 'entry')} left out, which cannot be read as images."] if others else []


def case_name(text: str) -> str:
    """A case name from a file name: "benign (104)" -> "benign_104". Letters of any alphabet stay."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_.-") or "case"


def count(files: Sequence[Path | str], what: str) -> str:
    """ "3 images (a.png, b.png, c.png)", with at most three names."""
    names = [file.name if isinstance(file, Path) else file for file in files]
    plural = what if len(names) == 1 else f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{len(names)} {plural} ({listed(names, 3)})"
