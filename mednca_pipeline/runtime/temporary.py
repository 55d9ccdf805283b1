"""Names of files and folders that are not finished, and the removal of those that killed processes left.

A name says which process of which machine writes it: ".tmp-<pid>-<machine>-<random>.<end of the final name>".
"""

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from functools import lru_cache
from pathlib import Path

_NAME = re.compile(r"\.tmp-(\d+)-([0-9a-f]{6})-[0-9a-f]{8}\..*", re.DOTALL)
_KEPT_S = 7 * 24 * 3600.0  # of another machine, whose processes cannot be looked up
_LONGEST_END = 50  # characters of the final name: it may be as long as the disk allows, and its endings are needed


def temporary_name(final: str) -> str:
    return f".tmp-{os.getpid()}-{_machine()}-{secrets.token_hex(4)}.{final[-_LONGEST_END:]}"


@lru_cache(maxsize=256)
def tidy_once(folder: Path) -> None:
    """Removes what killed processes left in `folder`, at the first call for it in this process."""
    remove_leftovers(folder)


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files and folders whose process is gone; of another machine, those of more than a week ago.

    What cannot be looked at or removed stays: whoever writes into the folder says what is wrong with it.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and _is_left(path, int(match[1]), match[2]):
                _remove(path)


def _is_left(path: Path, pid: int, machine: str) -> bool:
    if machine == _machine() and os.name == "posix":
        return not _is_alive(pid)
    try:
        return time.time() - path.lstat().st_mtime > _KEPT_S
    except OSError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of another user
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@lru_cache
def _machine() -> str:
    """Of the host and its namespace of process numbers: containers may share the host's name."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:6]
