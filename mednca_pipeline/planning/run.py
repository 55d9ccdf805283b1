"""Plans a dataset of a workspace: check, fingerprint, plans and splits, each written below plans/<dataset>.

plans/ may come from elsewhere, such as a clone. So preprocessed/<dataset>/checked.json says which raw data were checked
in this workspace.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from ..datasets.check import check_dataset
from ..datasets.dataset import Dataset
from ..datasets.findings import Report
from ..fingerprint.extract import check_and_extract, raw_sha256
from ..fingerprint.fingerprint import Fingerprint, read_fingerprint, write_fingerprint
from ..models.registry import read_plans
from ..plans.plans import ConfigName, Plans, write_plans
from ..plans.splits import Fold, add_groups, groups_in, joined_groups, read_splits, unused_cases, write_splits
from ..runtime.errors import InputError
from ..runtime.files import read_json, write_json
from ..runtime.listing import listed
from ..runtime.memory import parse_memory
from ..workspace import Workspace
from .explained import write_explained
from .folds import DEFAULT_FOLDS, make_folds, read_groups
from .memory import DEFAULT_BYTES
from .overrides import merged
from .planner import make_plans, possible_configs

log = logging.getLogger(__name__)

CHECKED_SCHEMA = 2  # raised when the check finds more

Progress = Callable[[str], None]


@dataclass(frozen=True)
class PlanOptions:
    """What the user may decide.

    memory_bytes, n_folds: None keeps what the user chose before, or takes the default. flags: the texts of --levels,
    --steps, --spacing, --patch, --channels and --position that were given. configs: the configurations that the flags
    apply to and that will be preprocessed; () is all. force: reads everything again and forgets earlier flags.
    """

    memory_bytes: int | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    configs: tuple[str, ...] = ()
    n_folds: int | None = None
    groups: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Planned:
    """What planning a dataset gave.

    plans: None when the check found something fatal. report: None when nothing had to be read again. notes: sentences
    on what was kept from before.
    """

    report: Report | None
    plans: Plans | None = None
    configs: tuple[ConfigName, ...] = ()
    folds: tuple[Fold, ...] = ()
    notes: tuple[str, ...] = ()


def plan_dataset(
    workspace: Workspace,
    dataset: Dataset,
    options: PlanOptions,
    executor: Executor | None = None,
    progress: Progress = lambda name: None,
) -> Planned:
    """Writes fingerprint.json, plans.json, explained.md and, unless it is there already, splits.json.

    Raw data that were not checked in this workspace as they are now are checked first, by the executor's workers, or in
    this process without one.
    Raises InputError for options that do not fit the data, and for leaking or unknown cases in splits.json.
    """
    report, fingerprint = _fingerprint(workspace, dataset, options.force, executor, progress)
    if fingerprint is None:
        return Planned(report)
    notes: list[str] = []
    if report is None:
        notes.append("Raw data unchanged since they were checked; mednca_check shows the findings again.")
    configs = _configs(fingerprint, options)
    earlier = _earlier_plans(workspace, dataset, options)
    kept = earlier.overrides if earlier else {}
    overrides = merged(kept, options.flags, configs)
    if options.memory_bytes:
        overrides["memory"] = f"{options.memory_bytes}B"
    memory = parse_memory(overrides["memory"]) if "memory" in overrides else default_memory_bytes()
    unchanged = ", ".join(sorted(key for key in kept if overrides[key] == kept[key]))
    try:
        plans = make_plans(fingerprint, overrides, memory)
    except InputError as error:
        if unchanged:
            remedy = f"{error.remedy} Add --force to plan without your earlier choices: {unchanged}.".strip()
            raise InputError(error.where, error.expected, error.found, remedy) from error
        raise
    if unchanged:
        notes.append(f"Kept from your earlier planning: {unchanged}. --force plans without them.")
    folds = _splits(workspace, fingerprint, options, notes)
    write_fingerprint(workspace.fingerprint_file(dataset.name), fingerprint)
    write_plans(workspace.plans_file(dataset.name), plans)
    write_explained(workspace.explained_file(dataset.name), plans)
    return Planned(report, plans, configs, folds, tuple(notes))


def default_memory_bytes() -> int:
    """4 GB, or what this machine has where that is less."""
    try:
        return min(DEFAULT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # not on Windows
        return DEFAULT_BYTES


def _fingerprint(
    workspace: Workspace, dataset: Dataset, force: bool, executor: Executor | None, progress: Progress
) -> tuple[Report | None, Fingerprint | None]:
    """A report unless the raw data were checked here, and the fingerprint unless the report has something fatal.

    The fingerprint in plans/ is taken if it describes the raw data as they are now.
    """
    checked = workspace.preprocessed_folder(dataset.name, "checked.json")  # beside the configurations' folders
    fingerprint = None if force else _present_fingerprint(workspace, dataset)
    if fingerprint is None:
        report, fingerprint = check_and_extract(dataset, executor, progress)
    elif _is_checked(checked, fingerprint.raw_sha256):
        return None, fingerprint
    else:
        report = check_dataset(dataset, executor, progress)
    if fingerprint is None or report.fatal:
        return report, None
    write_json(checked, {"schema": CHECKED_SCHEMA, "raw_sha256": fingerprint.raw_sha256})
    return report, fingerprint


def _present_fingerprint(workspace: Workspace, dataset: Dataset) -> Fingerprint | None:
    """The fingerprint in plans/ if it describes the raw data as they are now, else None."""
    path = workspace.fingerprint_file(dataset.name)
    if not path.exists():
        return None
    try:
        earlier = read_fingerprint(path)
    except InputError as error:
        log.info("%s The fingerprint is made anew.", error)
        return None
    return earlier if earlier.raw_sha256 == raw_sha256(dataset) else None


def _is_checked(file: Path, digest: str) -> bool:
    try:
        return read_json(file, schema=CHECKED_SCHEMA).get("raw_sha256") == digest
    except InputError:  # absent or damaged
        return False


def _earlier_plans(workspace: Workspace, dataset: Dataset, options: PlanOptions) -> Plans | None:
    path = workspace.plans_file(dataset.name)
    if options.force or not path.exists():
        return None
    try:
        return read_plans(path)
    except InputError as error:
        log.warning("%s It is made anew, without what you may have chosen before.", error)
        return None


def _configs(fingerprint: Fingerprint, options: PlanOptions) -> tuple[ConfigName, ...]:
    possible = possible_configs(fingerprint)
    impossible = [config for config in options.configs if config not in possible]
    if impossible:
        expected = f"{' or '.join(possible)}, as the images of {fingerprint.dataset} are {fingerprint.ndim}D"
        raise InputError("--config", expected, " ".join(impossible))
    return tuple(config for config in possible if config in options.configs or not options.configs)


def _splits(workspace: Workspace, fingerprint: Fingerprint, options: PlanOptions, notes: list[str]) -> tuple[Fold, ...]:
    """Reads existing splits, or writes new ones. Only --force with --folds or --groups replaces existing splits.

    Groups that are given for existing splits, and do not leak in them, are stored with them. New folds without --groups
    keep the groups of the folds that they replace: patients never leak by an oversight.
    """
    path = workspace.splits_file(fingerprint.dataset)
    names = [case.name for case in fingerprint.cases]
    replace = options.force and (options.n_folds is not None or options.groups is not None)
    if options.groups:
        patients = read_groups(options.groups, names, notes)
    else:
        patients = groups_in(path) if replace and path.exists() else []
    groups = [*patients, *(group for group in fingerprint.identical_images() if group not in patients)]
    if path.exists() and not replace:
        folds = read_splits(path, names, groups)
        _check_count(path, folds, options.n_folds)
        if add_groups(path, patients):
            notes.append(f"The groups of {options.groups} are now in {path} and checked at every reading.")
        unused = unused_cases(folds, names)
        if unused:
            notes.append(
                f"{len(unused)} of {len(names)} cases are in no fold of {path} ({listed(unused)}): they are "
                "never trained on. Delete the file for new folds of all cases."
            )
        return folds
    try:
        folds = make_folds(names, options.n_folds or _fitting_count(names, groups, notes), groups)
    except InputError as error:
        raise error.at(fingerprint.dataset) from error
    write_splits(path, folds, groups)
    return folds


def _fitting_count(names: Sequence[str], groups: Sequence[Sequence[str]], notes: list[str]) -> int:
    """5 folds, or one per case for the smallest datasets."""
    apart = len(joined_groups(sorted(names), groups))
    if apart >= DEFAULT_FOLDS:
        return DEFAULT_FOLDS
    notes.append(f"{apart} folds instead of {DEFAULT_FOLDS}: there are no more cases to keep apart.")
    return apart


def _check_count(path: Path, folds: Sequence[Fold], n_folds: int | None) -> None:
    if n_folds is not None and n_folds != len(folds):
        raise InputError(
            f"--folds {n_folds}",
            found=f"that {path} already has {len(folds)} folds, with which results may have been made",
            remedy="Add --force to replace the file, or leave out --folds.",
        )
