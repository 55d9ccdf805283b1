"""Faults of the input and of the environment: what the user can correct."""

import errno
from collections.abc import Sequence

from .printing import LINES, printable


class InputError(Exception):
    """Something the user gave is not as it must be: where, what was expected, what was found, and what to do.

    where: the file, field, flag or case; "" if `at` will say it. remedy: whole sentences in the imperative. An error
    that does not compare two values has `expected` or `found` alone. Only `str` renders the fields, and nothing reads
    the text that it makes.
    """

    def __init__(self, where: object = "", expected: str = "", found: str = "", remedy: str = "") -> None:
        self.where, self.expected, self.found, self.remedy = map(str, (where, expected, found, remedy))
        super().__init__(self.where, self.expected, self.found, self.remedy)  # so that it can be sent between processes

    def at(self, place: object) -> "InputError":
        """The same error inside of `place`, such as a case."""
        where = f"{place}: {self.where}" if self.where else str(place)
        return type(self)(where, self.expected, self.found, self.remedy)

    def __str__(self) -> str:
        """ "where: expected this, found that. Do so."; what is not given is left out, and names are made printable.

        A list of several lines has no full stop, and the remedy follows it on a line of its own.
        """
        expected = f"expected {printable(self.expected, keep=LINES)}" if self.expected else ""
        found = f"found {printable(self.found, keep=LINES)}" if self.found else ""
        what = ", ".join(filter(None, (expected, found)))
        head = ": ".join(filter(None, (printable(self.where, keep=LINES), what)))
        sentence = f"{head[:1].upper()}{head[1:]}" if head == what else head
        if "\n" in sentence:
            return "\n".join(filter(None, (sentence, printable(self.remedy, keep=LINES))))
        ended = f"{sentence}." if sentence and sentence[-1] not in ".!?" else sentence
        return " ".join(filter(None, (ended, printable(self.remedy, keep=LINES))))


def raise_all(where: object, errors: Sequence["InputError"]) -> None:
    """Raises one error for all that were found at `where`, each on a line of its own; nothing where there is none."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = "".join(f"\n- {' '.join(str(error).split())}" for error in errors)
        raise InputError(where, found=f"{len(errors)} faults:{lines}")


_ELSEWHERE = "Choose another folder, or have it changed."
_ENVIRONMENT = {
    errno.EACCES: ("no permission", _ELSEWHERE),
    errno.EPERM: ("no permission", _ELSEWHERE),
    errno.EROFS: ("a disk that is read-only", _ELSEWHERE),
    errno.ENOSPC: ("no space left on the disk", "Free some and run the same command again: what is finished stays."),
    errno.EDQUOT: ("no quota left on the disk", "Free some and run the same command again: what is finished stays."),
    errno.ENAMETOOLONG: ("a name that is too long for this disk", "Shorten it."),
    errno.ELOOP: ("a symbolic link", "Remove the link: nothing is written through it."),
    errno.ENOTDIR: ("a file where a folder must be", "Choose another path."),
    errno.EISDIR: ("a folder where a file must be", "Choose another path."),
    errno.ENOENT: ("nothing there", "Check the path."),
    errno.EEXIST: ("something there already", "Choose another path."),
}


_MEMORY = "Work on fewer cases at once (-np 0), on smaller images, or on a machine with more memory."
_OURS = ("", "mednca_pipeline", "dataset_conversion")
# import name -> the extra that brings it; all others: train
_EXTRAS = {
    **{"distributed": "cluster", "dask": "cluster"},
    **{"onnx": "onnx", "onnxruntime": "onnx"},
    "SimpleITK": "formats",
}


def correctable(error: Exception) -> Exception:
    """A fault of the environment as what the user can correct, with its place and a remedy; any other error as it is.

    Of the environment are faults of the disk or its permissions, names that libraries cannot open, too little memory,
    and packages that are not installed.
    """
    if _is_of_memory(error):
        what = str(error).strip().splitlines()
        found = f"too little memory ({what[0][:200]})" if what else "too little memory"
        named = InputError(found=found, remedy=_MEMORY)
    elif isinstance(error, OSError):
        named = _of_disk(error)
    elif isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) not in _OURS:
        remedy = f'Install it with pip install "mednca_pipeline[{_EXTRAS.get(package, "train")}]".'
        named = InputError(expected=package, found="that it is not installed", remedy=remedy)
    elif isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":  # of a file's name
        named = InputError(error.object, "a name in UTF-8", "other bytes", "Rename it.")
    else:
        return error
    named.__cause__ = error
    return named


def _is_of_memory(error: Exception) -> bool:
    """torch has an error of its own for a GPU, and none for the CPU."""
    kind = type(error).__name__
    return isinstance(error, MemoryError) or kind == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)


def _of_disk(error: OSError) -> InputError:
    known = _ENVIRONMENT.get(error.errno or 0)
    found, remedy = known or (error.strerror or str(error), "")
    return InputError(error.filename or "the disk", found=found, remedy=remedy)
