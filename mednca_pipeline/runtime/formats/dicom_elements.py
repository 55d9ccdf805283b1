"""Whether the elements of a DICOM file fit into it. GDCM allocates what an element declares before it reads."""

from pathlib import Path

_PREAMBLE = 128
_UNDEFINED = 0xFFFFFFFF
_META_GROUP = 2
_SYNTAX = (2, 0x10)  # of the values after the meta group
_IMPLICIT = b"1.2.840.10008.1.2"
_NOT_LOOKED_AT = (b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99")  # big endian, and deflated
_LONG = b"OB OD OF OL OV OW SQ UC UN UR UT SV UV".split()  # kinds of values whose length takes four bytes
_SHORT = b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
_UNKNOWN = (b"??", b"\0\0", b"  ")  # as some programs write; GDCM reads on


def elements_fit(path: Path) -> bool:
    """Whether every element, up to the first of undefined length, has a known kind and ends before the file does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_PREAMBLE + 4)
        has_preamble = start[_PREAMBLE:] == b"DICM"
        has_meta = has_preamble or start[:2] == _META_GROUP.to_bytes(2, "little")
        file.seek(len(start) if has_preamble else 0)
        explicit, syntax = has_meta or start[4:6].isalpha(), b""
        while True:
            tag = file.read(4)
            if len(tag) < 4:
                return True
            group, element = int.from_bytes(tag[:2], "little"), int.from_bytes(tag[2:], "little")
            if has_meta and explicit and group != _META_GROUP and syntax:
                if syntax in _NOT_LOOKED_AT:
                    return True
                explicit, syntax = syntax != _IMPLICIT, b""
            head = file.read(4)
            length = int.from_bytes(head, "little")
            if explicit and head[:2] in _UNKNOWN and group != _META_GROUP:
                return True
            if explicit and head[:2] not in (*_LONG, *_SHORT):
                return False
            if explicit:
                length = int.from_bytes(file.read(4) if head[:2] in _LONG else head[2:], "little")
            if length == _UNDEFINED:
                return True
            if file.tell() + length > size:
                return False
            if (group, element) == _SYNTAX:
                syntax = file.read(length).rstrip(b"\0 ")
            else:
                file.seek(length, 1)
