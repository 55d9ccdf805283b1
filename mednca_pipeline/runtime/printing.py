"""What is printed, logged or put into a table holds no control characters, which a terminal would obey."""

import logging

LINES = "\n\t"  # kept in messages of several lines


def printable(text: object, keep: str = "") -> str:
    """The text with escapes such as \\x1b for all that is not printed as itself, besides the characters in `keep`."""
    written = str(text)
    if written.isprintable():
        return written
    return "".join(
        letter if letter.isprintable() or letter in keep else letter.encode("unicode_escape").decode("ascii")
        for letter in written
    )


class PrintableFormatter(logging.Formatter):
    """Log lines whose names are printable. Tracebacks keep their lines."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep=LINES)
