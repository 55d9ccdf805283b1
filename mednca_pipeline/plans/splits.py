"""Cross-validation folds: made once at planning, read by training, checked for leakage at every reading.

splits.json is {"schema": 1, "folds": [{"train": [...], "val": [...]}, ...], "groups": [[...], ...], "seed": ...}.
The cases of a group share a fold. nnU-Net's splits_final.json, a list of such folds, is read as well.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.listing import listed
from ..runtime.records import Name, from_dict

SCHEMA = 1
SEED = 12345  # the folds of planning.folds are shuffled with it
NEW_FOLDS = "delete the file and run mednca_plan_and_preprocess again for new folds."

Groups = Sequence[Collection[str]]


@dataclass(frozen=True)
class Fold:
    """Names of the cases to train on and to validate on."""

    train: tuple[str, ...]
    val: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Fingerprint of the cases: results of folds with the same number but other cases never mix."""
        cases = [sorted(self.train), sorted(self.val)]
        return hashlib.sha256(json.dumps(cases).encode()).hexdigest()[:16]


def joined_groups(names: Sequence[str], groups: Groups) -> list[tuple[str, ...]]:
    """Every name once, alone or with all names that it shares a group with, directly or through others."""
    group_of = {name: {name} for name in names}
    for group in groups:
        joined: set[str] = set().union(*(group_of[name] for name in group if name in group_of))
        for name in joined:
            group_of[name] = joined
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def write_splits(path: Path, folds: Sequence[Fold], groups: Groups = ()) -> None:
    together = sorted(sorted(group) for group in groups)
    data = {"schema": SCHEMA, "seed": SEED, "groups": together}
    write_json(path, {**data, "folds": [{"train": fold.train, "val": fold.val} for fold in folds]})


def read_splits(path: Path, cases: Iterable[str], groups: Groups = ()) -> tuple[Fold, ...]:
    """The folds of splits.json, which may leave out cases.

    cases: all cases of the dataset. groups: cases that must share a fold, besides the groups in the file.
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


def add_groups(path: Path, groups: Groups) -> bool:
    """Stores groups in an existing splits.json and keeps its folds. nnU-Net's list becomes our form.

    False when the file has all groups already.
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
    """The groups that a splits.json names; [] for nnU-Net's list."""
    data = read_json(path)
    groups = data.get("groups", []) if isinstance(data, dict) else []
    return list(from_dict(tuple[tuple[str, ...], ...], groups, f"{path}: groups"))


def unused_cases(folds: Iterable[Fold], cases: Iterable[str]) -> tuple[str, ...]:
    """Cases that no fold trains on or validates on."""
    used = {name for fold in folds for name in (*fold.train, *fold.val)}
    return tuple(sorted(set(cases) - used))


def _entries(path: Path, data: Any) -> list[Any]:
    if not isinstance(data, list) or not data:
        raise InputError(path, 'a list of folds, such as [{"train": [...], "val": [...]}]', f"{data!r:.60}")
    return data


def _fold(path: Path, index: int, entry: Any) -> Fold:
    if not isinstance(entry, dict) or not {"train", "val"} <= set(entry):
        found = json.dumps(entry)[:60]
        raise InputError(f"{path}: fold {index}", '{"train": [...], "val": [...]}', found)
    parts = (from_dict(tuple[Name, ...], entry[part], f"{path}: fold {index}.{part}") for part in ("train", "val"))
    train, val = parts
    if not train or not val:
        empty = "val" if train else "train"
        raise InputError(f"{path}: fold {index}", f"cases in {empty}", "none", "Name some.")
    return Fold(train, val)


def _check_known(path: Path, folds: Iterable[Fold], known: Sequence[str]) -> None:
    unknown = sorted({name for fold in folds for name in (*fold.train, *fold.val)} - set(known))
    if unknown:
        raise InputError(
            path,
            f"cases of this dataset ({len(known)}, such as {known[0] if known else 'none'})",
            f"{len(unknown)} others: {listed(unknown)}",
            f"Correct the names, or {NEW_FOLDS}",
        )


def _check_leakage(path: Path, index: int, fold: Fold, unit_of: Mapping[str, int]) -> None:
    trained = {unit_of[name]: name for name in fold.train}
    leaks = [(trained[unit_of[name]], name) for name in fold.val if unit_of[name] in trained]
    if not leaks:
        return
    both = [name for name in fold.val if name in set(fold.train)]
    if both:
        found = f"{listed(both)} in both"
    else:
        pairs = listed([f"{train} and {val}" for train, val in leaks])
        found = f"cases of one patient, or with identical images, on both sides ({pairs})"
    raise InputError(
        f"{path}: fold {index}", "nothing of train in val", found, f"Move them to one side, or {NEW_FOLDS}"
    )
