"""The folds of a new dataset: shuffled as in nnU-Net, with the cases of one patient kept together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..plans.splits import SEED, Fold, Groups, joined_groups
from ..runtime.errors import InputError
from ..runtime.files import read_csv, read_json
from ..runtime.listing import listed

DEFAULT_FOLDS = 5  # with this number, plans.splits.SEED and no groups, the folds are nnU-Net's


def make_folds(cases: Iterable[str], n_folds: int = DEFAULT_FOLDS, groups: Groups = ()) -> tuple[Fold, ...]:
    """Folds over the sorted cases that keep every group together and have about equally many cases.

    groups: cases of one patient, or with identical images. Groups that overlap count as one.
    Raises InputError when there are fewer groups than folds.
    """
    names = sorted(cases)
    units = joined_groups(names, groups)
    if len(units) < 2:
        raise _one_unit(names)
    if not 2 <= n_folds <= len(units):
        apart = f"{len(units)} groups of cases to keep apart" if len(units) < len(names) else f"{len(names)} cases"
        remedy = f"Choose from 2 to {len(units)}." if len(units) > 2 else "Choose 2."
        raise InputError(f"--folds {n_folds}", "from 2 folds up to one per case", apart, remedy)
    parts = _shuffled_parts(units, n_folds)
    return tuple(Fold(tuple(name for name in names if name not in part), tuple(sorted(part))) for part in parts)


def _one_unit(names: Sequence[str]) -> InputError:
    """No number of folds helps where nothing can be kept apart."""
    found = f"{len(names)} cases of one patient, or with the same image" if len(names) > 1 else "1 case"
    remedy = "Add labelled cases of other patients, at least one."
    if len(names) > 1:
        remedy += " If they are of several patients, correct --groups and the groups in splits.json."
    return InputError("", "at least 2 cases to keep apart, one to train on and one to validate on", found, remedy)


def _shuffled_parts(units: list[tuple[str, ...]], n_folds: int) -> list[set[str]]:
    """The validation cases of each fold."""
    if all(len(unit) == 1 for unit in units):
        from sklearn.model_selection import KFold

        shuffled = KFold(n_folds, shuffle=True, random_state=SEED).split(units)
        return [{units[index][0] for index in part} for _, part in shuffled]
    order = np.random.default_rng(SEED).permutation(len(units))
    parts: list[set[str]] = [set() for _ in range(n_folds)]
    largest_first = sorted(order, key=lambda index: -len(units[index]))  # stable
    for index in largest_first:
        min(parts, key=len).update(units[index])
    return parts


def read_groups(path: Path, cases: Collection[str], notes: list[str] | None = None) -> list[tuple[str, ...]]:
    """Groups of patients from a file: JSON {"case": "patient"}, or CSV with a case and its patient per line.

    The first line of a CSV may be a header. notes: receives a sentence on cases that the file does not name, and one on
    lines that name no case. Raises InputError when the file names none of the cases, or is neither JSON nor CSV.
    """
    path = Path(path)
    patient_of = _json_groups(path) if path.suffix.lower() == ".json" else _csv_groups(path)
    groups: dict[str, list[str]] = {}
    for case, patient in patient_of.items():
        if case in cases:
            groups.setdefault(patient, []).append(case)
    if not groups:
        raise InputError(
            path,
            f"a case and its patient per line, such as {min(cases)},patient1",
            f"no case of this dataset in {len(patient_of)} lines",
            "Correct the names.",
        )
    if notes is not None:
        notes += _unmatched(path, patient_of, cases)
    return [tuple(sorted(group)) for _, group in sorted(groups.items()) if len(group) > 1]


def _unmatched(path: Path, patient_of: Mapping[str, str], cases: Collection[str]) -> Iterable[str]:
    """Sentences on cases that a file of patients leaves out, and on lines that name no case (often a misspelt one)."""
    unnamed = sorted(set(cases) - set(patient_of))
    strangers = [name for name in patient_of if name not in cases]
    if path.suffix.lower() != ".json" and strangers[:1] == list(patient_of)[:1]:
        del strangers[0]  # a header
    if unnamed:
        yield (
            f"{path} leaves out {len(unnamed)} of {len(cases)} cases ({listed(unnamed)}): each counts as a patient of "
            "its own."
        )
    if strangers:
        yield f"{path}: {len(strangers)} of its lines name no case of this dataset ({listed(strangers)})."


def _json_groups(path: Path) -> dict[str, str]:
    data = read_json(path)
    if not isinstance(data, Mapping):
        raise InputError(path, '{"case": "patient", ...}', f"{data!r:.60}")
    return {str(case): str(patient) for case, patient in data.items()}


def _csv_groups(path: Path) -> dict[str, str]:
    try:
        lines = read_csv(path, separators=",;\t")
    except InputError as error:
        raise error.at("--groups") from error
    rows = [[cell.strip() for cell in row] for row in lines if row]
    short = next((row for row in rows if len(row) < 2), None)
    if short:
        raise InputError(path, "a case and its patient per line", str(short))
    return {row[0]: row[1] for row in rows}
