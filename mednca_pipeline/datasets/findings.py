"""What a check finds, in the four parts that a user needs: the file, what it has, what was expected, what to do."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError

FATAL, WARNING, NOTE = "fatal", "warning", "note"
SEVERITIES = (FATAL, WARNING, NOTE)

_MESSAGE = re.compile(r"expected (?P<expected>.+?)[,;] found (?P<found>.+?)\.(?:\s+(?P<remedy>[A-Z].*))?$", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """severity: "fatal" (training on this would fail or be wrong), "warning" or "note". case: "" for the dataset."""

    severity: str
    case: str
    file: Path
    found: str
    expected: str
    remedy: str


@dataclass(frozen=True)
class Report:
    """All findings of a dataset, the worst first; identical: groups of training cases whose images are the same."""

    findings: tuple[Finding, ...]
    identical: tuple[tuple[str, ...], ...] = ()

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """The findings with which a dataset cannot be used; () when it can."""
        return tuple(finding for finding in self.findings if finding.severity == FATAL)

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def from_error(case: str, file: Path, error: InputError) -> Finding:
    """A fatal finding from a reader's error; their messages have the form "file: expected ..., found .... Do ..."."""
    match = _MESSAGE.search(str(error))
    if not match:
        return Finding(FATAL, case, file, str(error), "a readable file", "Export it again, or leave this case out.")
    remedy = match["remedy"] or "Correct the file, or leave this case out."
    return Finding(FATAL, case, file, match["found"], match["expected"], remedy)
