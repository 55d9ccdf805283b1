"""Cross-validation folds: made once at planning, read by training, checked for leakage at every reading.

splits.json is {"schema": 1, "folds": [{"train": [...], "val": [...]}, ...], "groups": [[...], ...], "seed": ...};
`groups` are the cases that share a fold. nnU-Net's splits_final.json, a list of such folds, is read as well.
"""

import csv
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..fingerprint.fingerprint import read_fingerprint
from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..workspace import Workspace

SCHEMA = 1
SEED = 12345  # and shuffling as in nnU-Net: without groups the folds are the same as nnU-Net's
DEFAULT_FOLDS = 5

Groups = Sequence[Collection[str]]


@dataclass(frozen=True)
class Fold:
    """Names of the cases to train on and to validate on."""

    train: tuple[str, ...]
    val: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Fingerprint of the cases: results of folds of the same number but other cases never mix."""
        cases = [sorted(self.train), sorted(self.val)]
        return hashlib.sha256(json.dumps(cases).encode()).hexdigest()[:16]


def make_folds(cases: Iterable[str], n_folds: int = DEFAULT_FOLDS, groups: Groups = ()) -> tuple[Fold, ...]:
    """Folds over the sorted cases that keep every group together and have about equally many cases.

    groups: cases of one patient, or with identical images; they may overlap (then they are one group).
    Raises InputError when there are fewer groups than folds.
    """
    names = sorted(cases)
    units = joined_groups(names, groups)
    if n_folds < 2 or len(units) < n_folds:
        apart = f"{len(units)} groups of cases to keep apart" if len(units) < len(names) else f"{len(names)} cases"
        raise InputError(
            f"--folds {n_folds}: expected from 2 folds up to one per case, found {apart}. Choose another number."
        )
    parts = _shuffled_parts(units, n_folds)
    return tuple(Fold(tuple(name for name in names if name not in part), tuple(sorted(part))) for part in parts)


def joined_groups(names: Sequence[str], groups: Groups) -> list[tuple[str, ...]]:
    """Every name once, alone or with all that it shares a group with, directly or through others."""
    group_of = {name: {name} for name in names}
    for group in groups:
        joined = set().union(*(group_of[name] for name in group if name in group_of))
        for name in joined:
            group_of[name] = joined
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def _shuffled_parts(units: list[tuple[str, ...]], n_folds: int) -> list[set[str]]:
    """Validation cases of each fold."""
    if all(len(unit) == 1 for unit in units):
        from sklearn.model_selection import KFold

        shuffled = KFold(n_folds, shuffle=True, random_state=SEED).split(units)
        return [{units[index][0] for index in part} for _, part in shuffled]
    order = np.random.default_rng(SEED).permutation(len(units))
    parts: list[set[str]] = [set() for _ in range(n_folds)]
    for index in sorted(order, key=lambda index: -len(units[index])):  # stable: the largest first, each to the least
        min(parts, key=len).update(units[index])
    return parts


def write_splits(path: Path, folds: Sequence[Fold], groups: Groups = ()) -> None:
    together = sorted(sorted(group) for group in groups)
    data = {"schema": SCHEMA, "seed": SEED, "groups": together}
    write_json(path, {**data, "folds": [{"train": fold.train, "val": fold.val} for fold in folds]})


def read_splits(path: Path, cases: Iterable[str], groups: Groups = ()) -> tuple[Fold, ...]:
    """The folds of splits.json. Cases may be left out of it.

    cases: all that the dataset has. groups: cases that must share a fold, besides those that the file names.
    Raises InputError for unknown cases and for leakage: a case, or two of a group, in both train and val of a fold.
    """
    path = Path(path)
    data = read_json(path)
    if isinstance(data, dict):
        data = read_json(path, schema=SCHEMA)
        groups = [*groups, *groups_in(path)]
        data = data.get("folds")
    folds = tuple(_fold(path, index, entry) for index, entry in enumerate(_entries(path, data)))
    known = sorted(cases)
    _check_known(path, folds, known)
    units = joined_groups(known, groups)
    unit_of = {name: index for index, unit in enumerate(units) for name in unit}
    for index, fold in enumerate(folds):
        _check_leakage(path, index, fold, unit_of)
    return folds


def workspace_splits(workspace: Workspace, dataset: str, cases: Iterable[str]) -> tuple[Fold, ...]:
    """The folds of a dataset as `read_splits` checks them, and for identical images where there is a fingerprint."""
    fingerprint = workspace.fingerprint_file(dataset)
    identical = read_fingerprint(fingerprint).identical_images() if fingerprint.exists() else ()
    return read_splits(workspace.splits_file(dataset), cases, identical)


def add_groups(path: Path, groups: Groups) -> bool:
    """Stores groups in a splits.json that is there, whose folds stay; nnU-Net's list becomes our form.

    False when it has them all already.
    """
    data = read_json(path)
    present = {tuple(sorted(group)) for group in groups_in(path)}
    together = present | {tuple(sorted(group)) for group in groups}
    if together == present:
        return False
    data = data if isinstance(data, dict) else {"schema": SCHEMA, "folds": data}
    write_json(path, {**data, "groups": sorted(together)})
    return True


def groups_in(path: Path) -> list[tuple[str, ...]]:
    """The groups that a splits.json names; [] where it is nnU-Net's list."""
    data = read_json(path)
    return [tuple(group) for group in data.get("groups", [])] if isinstance(data, dict) else []


def unused_cases(folds: Iterable[Fold], cases: Iterable[str]) -> tuple[str, ...]:
    """Cases that no fold trains on or validates."""
    used = {name for fold in folds for name in (*fold.train, *fold.val)}
    return tuple(sorted(set(cases) - used))


def read_groups(path: Path, cases: Collection[str], notes: list[str] | None = None) -> list[tuple[str, ...]]:
    """Groups of patients from a file: JSON {"case": "patient"}, or CSV with a case and its patient per line.

    notes: gets a sentence on cases that the file does not name, and one on its lines of no case; the first line of a
    CSV may be a header. Raises InputError when the file names none of the cases, or is neither.
    """
    path = Path(path)
    patient_of = _json_groups(path) if path.suffix.lower() == ".json" else _csv_groups(path)
    groups: dict[str, list[str]] = {}
    for case, patient in patient_of.items():
        if case in cases:
            groups.setdefault(patient, []).append(case)
    if not groups:
        raise InputError(
            f"{path}: expected a case and its patient per line, such as {min(cases)},patient1; found no case of this "
            f"dataset in its {len(patient_of)} lines."
        )
    if notes is not None:
        notes += _unmatched(path, patient_of, cases)
    return [tuple(sorted(group)) for _, group in sorted(groups.items()) if len(group) > 1]


def _unmatched(path: Path, patient_of: Mapping[str, str], cases: Collection[str]) -> Iterable[str]:
    """Sentences on the cases that a file of patients leaves out, and on its lines of no case (often a misspelt one)."""
    unnamed = sorted(set(cases) - set(patient_of))
    strangers = [name for name in patient_of if name not in cases]
    if path.suffix.lower() != ".json" and strangers[:1] == list(patient_of)[:1]:
        del strangers[0]  # a header
    if unnamed:
        yield (
            f"{path} leaves out {len(unnamed)} of {len(cases)} cases ({_first(unnamed)}): each counts as a patient of "
            "its own."
        )
    if strangers:
        yield f"{path}: {len(strangers)} of its lines name no case of this dataset ({_first(strangers)})."


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _json_groups(path: Path) -> dict[str, str]:
    data = read_json(path)
    if not isinstance(data, Mapping):
        raise InputError(f'{path}: expected {{"case": "patient", ...}}, found {type(data).__name__}.')
    return {str(case): str(patient) for case, patient in data.items()}


def _csv_groups(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--groups {path}: expected a CSV or JSON file, found {error}.") from error
    separator = next((mark for mark in "\t;" if mark in text), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=separator) if row]
    short = next((row for row in rows if len(row) < 2), None)
    if short:
        raise InputError(f"{path}: expected a case and its patient per line, found {short}.")
    return {row[0]: row[1] for row in rows}


def _entries(path: Path, data: Any) -> list[Any]:
    if not isinstance(data, list) or not data:
        raise InputError(
            f'{path}: expected a list of folds, such as [{{"train": [...], "val": [...]}}], found {data!r}.'
        )
    return data


def _fold(path: Path, index: int, entry: Any) -> Fold:
    try:
        train, val = tuple(entry["train"]), tuple(entry["val"])
    except (KeyError, TypeError):
        found = json.dumps(entry)[:60]
        raise InputError(f'{path}: fold {index}: expected {{"train": [...], "val": [...]}}, found {found}.') from None
    if not train or not val:
        empty = "val" if train else "train"
        raise InputError(f"{path}: fold {index}: expected cases in {empty}, found none. Name some.")
    return Fold(train, val)


def _check_known(path: Path, folds: Iterable[Fold], known: Sequence[str]) -> None:
    unknown = sorted({name for fold in folds for name in (*fold.train, *fold.val)} - set(known))
    if unknown:
        raise InputError(
            f"{path}: expected cases of this dataset ({len(known)}, such as {known[0] if known else 'none'}), found "
            f"{len(unknown)} others: {', '.join(unknown[:5])}. Correct the names, or delete the file and run "
            "mednca_plan_and_preprocess again for new folds."
        )


def _check_leakage(path: Path, index: int, fold: Fold, unit_of: Mapping[str, int]) -> None:
    trained = {unit_of[name]: name for name in fold.train}
    leaks = [(trained[unit_of[name]], name) for name in fold.val if unit_of[name] in trained]
    if not leaks:
        return
    both = [name for name in fold.val if name in set(fold.train)]
    if both:
        found = f"{', '.join(both[:5])} in both"
    else:
        pairs = ", ".join(f"{train} and {val}" for train, val in leaks[:5])
        found = f"cases of one patient, or with identical images, on both sides ({pairs})"
    raise InputError(
        f"{path}: fold {index}: expected nothing of train in val, found {found}. Move them to one side, or delete the "
        "file and run mednca_plan_and_preprocess again for new folds."
    )
