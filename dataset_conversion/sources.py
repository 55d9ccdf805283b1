"""Finding the parts of a downloaded dataset, and telling the user what is missing."""

import re
from collections.abc import Sequence
from pathlib import Path

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import SUPPORTED, split_ending
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
    """The image files of a folder, sorted by name; hidden ones (such as macOS's ._ files) are passed over."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if split_ending(path)[1] in SUPPORTED)


def case_name(text: str) -> str:
    """A case name from a file name: "benign (104)" -> "benign_104". Letters of any alphabet stay."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_.-") or "case"


def count(files: Sequence[Path | str], what: str) -> str:
    """ "3 images (a.png, b.png, c.png)", with at most three names."""
    names = [file.name if isinstance(file, Path) else file for file in files]
    return f"{len(names)} {what}{'s' * (len(names) > 1)} ({listed(names, 3)})"
