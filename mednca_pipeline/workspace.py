"""Where raw data, preprocessed data, plans and results are. What lies in results: see the package results."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .runtime.errors import InputError

_READY, _OLD = ".ready", ".old"  # of a dataset that is about to replace another, and of the other
_NAME = re.compile(r"Dataset(\d{3,})_.+")


@dataclass(frozen=True)
class Workspace:
    """The four folders of the pipeline below one root, and nnU-Net's raw folder as a second place to read from."""

    root: Path
    nnunet_raw: Path | None = None

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    def plans_folder(self, dataset: str) -> Path:
        return self.root / "plans" / dataset

    def plans_file(self, dataset: str) -> Path:
        return self.plans_folder(dataset) / "plans.json"

    def fingerprint_file(self, dataset: str) -> Path:
        return self.plans_folder(dataset) / "fingerprint.json"

    def explained_file(self, dataset: str) -> Path:
        """Every decision of the plans with its reason."""
        return self.plans_folder(dataset) / "explained.md"

    def splits_file(self, dataset: str) -> Path:
        return self.plans_folder(dataset) / "splits.json"

    def preprocessed_folder(self, dataset: str, config: str) -> Path:
        return self.root / "preprocessed" / dataset / config

    def results_folder(self, dataset: str) -> Path:
        return self.root / "results" / dataset

    def raw_folder(self, dataset: str) -> Path:
        """The dataset's raw folder: below `raw/`, else below nnU-Net's. Raises InputError when it is in neither."""
        for parent in self._raw_parents():
            if (parent / dataset).is_dir():
                return parent / dataset
        searched = " and ".join(str(parent) for parent in self._raw_parents())
        remedy = "Make it with mednca_convert, or name the workspace with --root."
        raise InputError(f"raw data of {dataset}", f"a folder {dataset} in {searched}", "none", remedy)

    def new_raw_folder(self, number: int, name: str) -> Path:
        return self.raw / f"Dataset{number:03d}_{name}"

    def datasets(self) -> list[str]:
        """Names of all datasets in any folder of this workspace, sorted."""
        return sorted({*self.datasets_with_data(), *_names_in([self.root / "plans", self.root / "results"])})

    def datasets_with_data(self) -> list[str]:
        """Names of the datasets that have raw or preprocessed data, sorted. Plans and results alone do not count."""
        return sorted(_names_in([*self._raw_parents(), self.root / "preprocessed"]))

    def resolve(self, dataset: str | int) -> str:
        """The full name of a dataset given as `4`, `004`, `Dataset004` or `Dataset004_Hippocampus`.

        If several have the number, those with data come first: plans or results alone may come with the repository.
        Raises InputError, listing what was searched and found, when none or several fit.
        """
        text = str(dataset).strip()
        known = self.datasets()
        if text in known:
            return text
        number = re.fullmatch(r"(?:Dataset)?(\d+)", text)
        numbers = {name: match[1] for name in known if (match := _NAME.fullmatch(name))}
        fitting = [name for name, own in numbers.items() if number and int(own) == int(number[1])]
        if len(fitting) > 1:
            fitting = sorted(set(fitting) & set(self.datasets_with_data())) or fitting
        if len(fitting) == 1:
            return fitting[0]
        places = ", ".join(str(place) for place in [*self._raw_parents(), self.root / "plans", self.root / "results"])
        listed = ", ".join(fitting or known) or "no dataset at all"
        raise InputError(
            f"dataset {text!r}",
            f"one dataset of this {'number' if number else 'name'} in {places}",
            f"several: {listed}" if fitting else f"none, but {listed}" if known else listed,
            "Give its number (4) or its full name (Dataset004_Hippocampus), or name the workspace with --root.",
        )

    def _raw_parents(self) -> list[Path]:
        return [self.raw] + ([self.nnunet_raw] if self.nnunet_raw else [])


def replace_dataset(folder: Path, new: Path) -> None:
    """Moves the complete dataset `new` to `folder`, from where the old one is moved away first and deleted last.

    Killed in between, the next command that opens the workspace finishes this.
    """
    _finish_replacing(folder.parent)
    ready, old = _beside(folder, _READY), _beside(folder, _OLD)
    for left in (ready, old):
        shutil.rmtree(left, ignore_errors=True)
    os.replace(new, ready)
    if folder.exists():
        os.replace(folder, old)
    with contextlib.suppress(FileNotFoundError):  # another command was faster at the same
        os.replace(ready, folder)
    shutil.rmtree(old, ignore_errors=True)


def _finish_replacing(raw: Path) -> None:
    """What is left of `replace_dataset`. Where nothing may be written, whoever needs the dataset says so."""
    with contextlib.suppress(OSError):
        for ready in list(raw.glob(f".Dataset*{_READY}")):
            folder = raw / ready.name[1 : -len(_READY)]
            if not folder.exists():
                os.replace(ready, folder)
        for old in list(raw.glob(f".Dataset*{_OLD}")):
            folder = raw / old.name[1 : -len(_OLD)]
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(old, folder)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}{ending}")


def _names_in(places: Iterable[Path]) -> set[str]:
    entries = (entry for place in places if place.is_dir() for entry in place.iterdir())
    return {entry.name for entry in entries if entry.is_dir() and _NAME.fullmatch(entry.name)}


def open_workspace(root: Path | str | None = None) -> Workspace:
    """The workspace at `root`, else at $MEDNCA_ROOT, else in the current directory; $nnUNet_raw is read from if set."""
    chosen = Path(root or os.environ.get("MEDNCA_ROOT") or Path.cwd()).expanduser().absolute()
    if not chosen.is_dir():
        found = "a file" if chosen.exists() else "nothing there"
        raise InputError(f"workspace {chosen}", "a folder", found, "Create it, or give another with --root.")
    _finish_replacing(chosen / "raw")
    nnunet_raw = os.environ.get("nnUNet_raw")
    return Workspace(chosen, Path(nnunet_raw).absolute() if nnunet_raw else None)
