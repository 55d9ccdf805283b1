"""What a table of results says about its origin: commit, date, machine. Nothing in it identifies a person."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import mednca_pipeline

CODE = (":(top)*.py", ":(top)constraints.txt")  # pathspecs


def provenance() -> dict[str, str]:
    """{"commit", "date", "machine", "python"} of this run, each as one line of text."""
    return {
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """Commit of the checkout that the package runs from, with "-dirty" if its code differs; else that it is unknown.

    Of results, such as those that the command itself writes, and of documents it says nothing.
    """
    folder = Path(mednca_pipeline.__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # fails for a copy inside someone else's repository
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", *CODE)
        return _git(folder, "rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=20, check=True
    )
    return result.stdout.strip()
