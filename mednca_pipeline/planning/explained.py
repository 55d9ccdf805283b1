"""explained.md: every decision of a plan with its reason, for people."""

from collections.abc import Sequence
from pathlib import Path

from ..plans.plans import Decision, Plans
from ..runtime.files import write_text

TITLES = {"all": "All configurations", "2d": "Configuration 2d", "3d": "Configuration 3d"}


def write_explained(file: Path, plans: Plans) -> None:
    write_text(file, explained(plans))


def explained(plans: Plans) -> str:
    """Markdown: a table of the decisions of each configuration."""
    parts = [f"# Plans of {plans.dataset}\n\nWhat plans.json decides, and why."]
    for config in dict.fromkeys(decision.config for decision in plans.decisions):
        rows = [decision for decision in plans.decisions if decision.config == config]
        parts.append(f"## {TITLES[config]}\n\n{_table(rows)}")
    return "\n\n".join(parts) + "\n"


def _table(decisions: Sequence[Decision]) -> str:
    rows = [("decision", "value", "because"), ("---", "---", "---")]
    rows += [(made.name, f"{made.value} (yours)" if made.by_user else made.value, made.because) for made in decisions]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
