"""One process at a time writes into a fold's folder: two trainings there would spoil each other's checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..runtime.errors import InputError


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Holds the lock of `folder`, which is made where needed. The system frees it when the process ends, or is killed.

    Raises InputError at once when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"Another process is training or validating in {folder}, perhaps one that a killed mednca_crossval left "
            "behind. Wait until it is done, or end it; then run this command again."
        ) from error
    try:
        yield
    finally:
        lock.release()
