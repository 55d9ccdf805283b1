"""Where raw data, preprocessed data, plans and results are. What lies in results: see the package results."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .runtime.errors import InputError

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
        raise InputError(
            f"No raw data of {dataset}: expected a folder {dataset} in {searched}. "
            f"Make one with mednca_convert, or name the workspace with --root."
        )

    def new_raw_folder(self, number: int, name: str) -> Path:
        return self.raw / f"Dataset{number:03d}_{name}"

    def datasets(self) -> list[str]:
        """Names of all datasets known to this workspace, in any of its folders, sorted."""
        return sorted({*self.datasets_with_data(), *_names_in([self.root / "plans", self.root / "results"])})

    def datasets_with_data(self) -> list[str]:
        """Names of the datasets that have raw or preprocessed data, and not plans and results alone; sorted."""
        return sorted(_names_in([*self._raw_parents(), self.root / "preprocessed"]))

    def resolve(self, dataset: str | int) -> str:
        """The full name of a dataset given as `4`, `004`, `Dataset004` or `Dataset004_Hippocampus`.

        Of several with one number, those with data go before those of which only plans or results are here, as they
        come with the repository. Raises InputError, listing what was searched and found, when none or several fit.
        """
        text = str(dataset).strip()
        known = self.datasets()
        if text in known:
            return text
        number = re.fullmatch(r"(?:Dataset)?(\d+)", text)
        fitting = [name for name in known if number and int(_NAME.fullmatch(name)[1]) == int(number[1])]
        if len(fitting) > 1:
            fitting = sorted(set(fitting) & set(self.datasets_with_data())) or fitting
        if len(fitting) == 1:
            return fitting[0]
        found = ", ".join(fitting or known) or "no dataset at all"
        problem = "several datasets have this number" if fitting else "no such dataset"
        places = ", ".join(str(place) for place in [*self._raw_parents(), self.root / "plans", self.root / "results"])
        raise InputError(
            f"Dataset {text!r}: {problem}. Searched {places}; found {found}. "
            "Give its number (4) or its full name (Dataset004_Hippocampus), or name the workspace with --root."
        )

    def _raw_parents(self) -> list[Path]:
        return [self.raw] + ([self.nnunet_raw] if self.nnunet_raw else [])


def _names_in(places: Iterable[Path]) -> set[str]:
    entries = (entry for place in places if place.is_dir() for entry in place.iterdir())
    return {entry.name for entry in entries if entry.is_dir() and _NAME.fullmatch(entry.name)}


def open_workspace(root: Path | str | None = None) -> Workspace:
    """The workspace at `root`, else at $MEDNCA_ROOT, else in the current directory; $nnUNet_raw is read from if set."""
    chosen = Path(root or os.environ.get("MEDNCA_ROOT") or Path.cwd()).expanduser().absolute()
    if not chosen.is_dir():
        raise InputError(f"The workspace {chosen} is not a folder: create it, or give another with --root.")
    nnunet_raw = os.environ.get("nnUNet_raw")
    return Workspace(chosen, Path(nnunet_raw).absolute() if nnunet_raw else None)
