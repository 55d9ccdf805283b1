"""What a check finds, in the four parts that a user needs: the file, what it has, what was expected, what to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..runtime.errors import InputError
from ..runtime.geometry import SpacingError

Severity = Literal["fatal", "warning", "note"]  # fatal: training on this would fail or be wrong

FATAL: Severity = "fatal"
WARNING: Severity = "warning"
NOTE: Severity = "note"
SEVERITIES = (FATAL, WARNING, NOTE)


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know. case: "" for the dataset as a whole.

    about_spacing: whether a spacing could not be read, so that those of the other cases help.
    """

    severity: Severity
    case: str
    file: Path
    found: str
    expected: str
    remedy: str
    about_spacing: bool = False


@dataclass(frozen=True)
class Report:
    """All findings of a dataset, the worst first."""

    findings: tuple[Finding, ...]

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """The findings that keep the dataset from being used; () if there are none."""
        return tuple(finding for finding in self.findings if finding.severity == FATAL)

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def from_error(case: str, file: Path, error: InputError) -> Finding:
    """A fatal finding from the error with which reading `file` failed."""
    remedy = error.remedy or "Correct the file, or leave this case out."
    expected, about_spacing = error.expected or "a readable file", isinstance(error, SpacingError)
    return Finding(FATAL, case, file, error.found or str(error), expected, remedy, about_spacing)
