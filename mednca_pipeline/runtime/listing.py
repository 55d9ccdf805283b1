"""Lists of names in messages."""

from collections.abc import Sequence


def counted(count: int, what: str) -> str:
    """ "1 case", "2 cases"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def listed(names: Sequence[object], most: int = 5) -> str:
    """ "a, b, c", or the first `most` names and "..." where there are more."""
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")
