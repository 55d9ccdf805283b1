"""The labels that a dataset.json beside some files describes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..runtime.labels import Labels


def described_beside(*folders: Path) -> "tuple[Labels, dict[str, Any]] | None":
    """The labels of the first dataset.json in one of the folders or the one above it, and all that this file says."""
    from ..runtime.files import read_json
    from ..runtime.labels import Labels

    for folder in folders:
        for place in (folder, folder.resolve().parent):
            if (file := place / "dataset.json").is_file():
                described = read_json(file)
                found = Labels.from_dataset_json(described.get("labels"), described.get("regions_class_order"), file)
                return found, described
    return None
