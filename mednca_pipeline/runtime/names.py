"""Names of cases, datasets and files: which can be a part of a path, and how any of them is printed."""

import unicodedata

from .errors import InputError
from .printing import printable

_UNPRINTED = ("Cc", "Cs")  # control characters, and bytes that are no UTF-8


def check_text(where: object, text: object) -> str:
    """The text. Raises InputError for one with control characters, or with bytes that are no UTF-8."""
    if not isinstance(text, str) or any(unicodedata.category(letter) in _UNPRINTED for letter in text):
        raise InputError(
            printable(where), "a text without control characters", f"'{printable(text)[:60]}'", "Rename it."
        )
    return text


def check_name(where: object, name: object) -> str:
    """The name, which becomes a part of paths. Raises InputError for one that would lead elsewhere or spoil a terminal.

    where: the file and field that the name stands in.
    """
    where = printable(where)
    if not isinstance(name, str) or not name:
        raise InputError(where, "a name", f"{name!r:.60}")
    strange = any(unicodedata.category(letter) in _UNPRINTED for letter in name)
    if strange or "/" in name or "\\" in name or name.startswith("."):
        expected = "a name without slashes, control characters and a leading dot, as it becomes a file name"
        raise InputError(where, expected, f"'{printable(name[:60])}'", "Rename it.")
    return name
