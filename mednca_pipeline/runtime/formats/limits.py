"""What must hold before a library decodes a file: it can hold what its header declares, and its checksums are right."""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import InputError

ALWAYS_BYTES = 64_000_000  # an image of this size is decoded whatever its header declares
MOST_EXPANSION = 2000  # deflate, the usual compression, reaches 1032 on zeros
_PIECE = 1 << 20


def check_size(path: Path, declared_bytes: int, stored_bytes: int | None = None) -> None:
    """Raises InputError where the voxels that a header declares cannot lie in the file's bytes.

    stored_bytes: of the file that holds the voxels, if that is not `path`.
    """
    stored = path.stat().st_size if stored_bytes is None else stored_bytes
    if declared_bytes > max(ALWAYS_BYTES, MOST_EXPANSION * stored):
        raise InputError(
            "",
            f"the {declared_bytes:,} bytes of voxels that the header declares",
            f"a file of {stored:,} bytes, which cannot hold them",
            "The header or the file is damaged: export it again, or leave this case out.",
        )


def decompressed(pieces: Iterable[bytes], kind: int, expected_bytes: int) -> bytes:
    """Decompresses zlib (kind 15) or gzip (31) data, and verifies its checksum.

    Raises InputError where the data end early, go on beyond `expected_bytes`, or are damaged.
    """
    result = bytearray()
    for piece in _inflated(pieces, kind):
        result += piece
        if len(result) > expected_bytes:
            found = f"more than {expected_bytes:,}"
            raise InputError("", f"{expected_bytes:,} bytes, as the header declares", found, "Export it again.")
    return bytes(result)


def _inflated(pieces: Iterable[bytes], kind: int) -> Iterator[bytes]:
    """The decompressed data, in pieces. A gzip file may have several members, and zeros after the last."""
    stream, ended = zlib.decompressobj(kind), False
    try:
        for piece in pieces:
            while piece:
                if ended:
                    piece = piece.lstrip(b"\0")
                    if not piece:
                        break
                    stream, ended = zlib.decompressobj(kind), False
                yield stream.decompress(piece, _PIECE)
                ended = stream.eof
                piece = stream.unused_data if ended else stream.unconsumed_tail
    except zlib.error as error:
        raise InputError("", "intact compressed data", f"damaged data ({error})", "Export it again.") from error
    if not ended:
        raise InputError("", "the end of the compressed data", "that the file is cut off", "Copy or export it again.")


def pieces_of(path: Path, start: int = 0) -> Iterator[bytes]:
    """The bytes of a file from `start`, piece by piece."""
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE):
            yield piece
