"""Lists of names in messages."""

from collections.abc import Sequence


def listed(names: Sequence[object], most: int = 5) -> str:
    """ "a, b, c", or the first `most` names and "..." where there are more."""
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")
