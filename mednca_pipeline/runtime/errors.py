"""The one exception for what a user can mend."""


class InputError(Exception):
    """A fault of the input or the command line: commands print its message without a traceback and exit with 2.

    The message says what was expected, what was found, in which file, and what to do.
    """
