"""The folds of a dataset, checked for cases with identical images on both sides."""

from collections.abc import Iterable

from ..plans.splits import Fold, read_splits
from ..workspace import Workspace
from .fingerprint import read_fingerprint


def workspace_splits(workspace: Workspace, dataset: str, cases: Iterable[str]) -> tuple[Fold, ...]:
    """The folds of a dataset, checked as `read_splits` does and, with a fingerprint, also for identical images."""
    fingerprint = workspace.fingerprint_file(dataset)
    identical = read_fingerprint(fingerprint).identical_images() if fingerprint.exists() else ()
    return read_splits(workspace.splits_file(dataset), cases, identical)
