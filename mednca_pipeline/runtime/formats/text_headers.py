"""The text headers of MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr), checked before ITK sees them.

ITK crashes, hangs or reads on over some damaged headers, and does not verify checksums.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..geometry import check_spacing
from .limits import check_size, decompressed, pieces_of

_MOST_BYTES = 1 << 20  # of a header
_MOST_AXES = 4
_META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG", "MET_ULONG", "MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
_META_LISTS = {  # fields of one number per axis, and of one per pair of axes
    **dict.fromkeys(("ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation"), 1),
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), 2),
}
_NRRD_BYTES = {
    **dict.fromkeys("signed char|int8|int8_t|uchar|unsigned char|uint8|uint8_t|block".split("|"), 1),
    **dict.fromkeys(
        "short|short int|signed short|signed short int|int16|int16_t|"
        "ushort|unsigned short|unsigned short int|uint16|uint16_t".split("|"),
        2,
    ),
    **dict.fromkeys("int|signed int|int32|int32_t|uint|unsigned int|uint32|uint32_t|float".split("|"), 4),
    **dict.fromkeys(
        "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t|"
        "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t|double".split("|"),
        8,
    ),
}
_OTHER_UNITS = (
    "m",
    "meter",
    "meters",
    "metre",
    "cm",
    "um",
    "\u00b5m",
    "\u03bcm",
    "micron",
    "microns",
    "micrometer",
    "nm",
)
_SPATIAL = ("domain", "space", "???", "none")  # kinds of NRRD axes
_CONVERT = "Convert it to .nii.gz, for example with 3D Slicer."
_AGAIN = "Export it again."


@dataclass(frozen=True)
class TextHeader:
    """fields: of the header, by name. start: where the voxels begin in the file. voxels: the file that holds them."""

    path: Path
    fields: dict[str, str]
    start: int
    voxels: Path

    @property
    def oriented(self) -> bool:
        """Whether the header says which way the axes run."""
        return any(name in self.fields for name in ("space directions", "TransformMatrix", "Rotation", "Orientation"))

    def numbers(self, name: str, count: int) -> list[float]:
        """Raises InputError where the field does not hold `count` finite numbers."""
        try:
            values = [float(part) for part in self.fields[name].split()]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            raise _wrong(name, f"{count} number{'s' * (count > 1)}", self.fields[name])
        return values

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number between `low` and `high`. Raises InputError for anything else."""
        text = self.fields.get(name, str(default) if default is not None else "nothing")
        if not text.lstrip("-").isdecimal() or not low <= int(text[:20]) <= high:
            raise _wrong(name, f"a whole number from {low} to {high}", text)
        return int(text)

    def sizes(self, name: str, axes: int) -> int:
        """The product of the sizes of all axes."""
        text = self.fields.get(name, "nothing")
        sizes = [int(part) for part in text.split() if part.isdecimal() and len(part) < 12]
        if len(sizes) != axes or len(text.split()) != axes or 0 in sizes:
            raise _wrong(name, f"{axes} sizes", text)
        return math.prod(sizes)


def metaimage(path: Path) -> TextHeader:
    """Reads and checks the header of an .mha or .mhd file. Raises InputError naming the field that is wrong."""
    fields, start = {}, 0
    for line, end in _lines(path):
        key, equals, value = line.replace(":", "=", 1).partition("=") if "=" not in line else line.partition("=")
        if not equals or key.strip() in fields:
            raise InputError(path.name, "lines such as NDims = 3", repr(line[:60]), _AGAIN)
        fields[key.strip()], start = value.strip(), end
        if key.strip() == "ElementDataFile":
            break
    else:
        raise InputError(path.name, "the field ElementDataFile", "a header without it", _AGAIN)
    data = fields["ElementDataFile"]
    local = data.upper() == "LOCAL"
    if not local and (data.split()[0].upper() == "LIST" or "%" in data):
        raise _wrong("ElementDataFile", "one file", f"a list of files ({data[:60]})", _CONVERT)
    header = TextHeader(path, fields, start if local else 0, path if local else _beside(path, data))
    axes = header.whole("NDims", 2, _MOST_AXES)
    for name, power in _META_LISTS.items():
        if name in fields:
            numbers = header.numbers(name, axes**power)
            if name == "ElementSpacing" or (name == "ElementSize" and "ElementSpacing" not in fields):
                check_spacing(numbers, f"field {name}:")
    if fields.get("ObjectType", "Image") != "Image":
        raise _wrong("ObjectType", "Image", fields["ObjectType"])
    kind = fields.get("ElementType", "nothing")
    if kind not in _META_BYTES:
        raise _wrong("ElementType", "a type of real numbers such as MET_SHORT", kind)
    header.whole("HeaderSize", -1, 2**40, 0)
    channels = header.whole("ElementNumberOfChannels", 1, 1000, 1)
    compressed = fields.get("CompressedData", "False").lower() in ("true", "1")
    if compressed:  # ITK takes the voxels as uncompressed where the size is not given
        header.whole("CompressedDataSize", 1, 2**40)
    _check_voxels(
        header,
        header.sizes("DimSize", axes) * channels * _META_BYTES[kind],
        "zlib" if compressed else "raw",
        text=fields.get("BinaryData", "True").lower() in ("false", "0"),
        skipped=int(fields.get("HeaderSize", "0")),
    )
    return header


def nrrd(path: Path) -> TextHeader:
    """Reads and checks the header of an .nrrd or .nhdr file. Raises InputError naming the field that is wrong."""
    fields, start, lines = {}, 0, _lines(path)
    first, start = next(lines, ("", 0))
    if not first.startswith("NRRD000"):
        raise InputError(path.name, "a first line such as NRRD0004", repr(first[:60]), _AGAIN)
    for line, end in lines:
        start = end
        if not line:
            break
        key, separator, value = line.partition(":=") if ":=" in line else line.partition(": ")
        if separator:
            fields[key.strip()] = value.strip()
    data = fields.get("data file", fields.get("datafile", ""))
    if data.split()[:1] == ["LIST"] or "%" in data:
        raise _wrong("data file", "one file", f"a list of files ({data[:60]})", _CONVERT)
    header = TextHeader(path, fields, 0 if data else start, _beside(path, data) if data else path)
    axes = header.whole("dimension", 1, _MOST_AXES + 1)
    kind, encoding = fields.get("type", "nothing"), fields.get("encoding", "nothing").lower()
    if kind not in _NRRD_BYTES:
        raise _wrong("type", "a type of real numbers such as short", kind)
    if encoding not in ("raw", "gz", "gzip", "txt", "text", "ascii", "hex", "bz2", "bzip2"):
        raise _wrong("encoding", "raw or gzip", encoding)
    _check_nrrd_geometry(header, axes)
    skips = {name: fields.get(name, fields.get(name.replace(" ", ""), "0")) for name in ("line skip", "byte skip")}
    skipped = -1 if set(skips.values()) != {"0"} else 0
    _check_voxels(
        header,
        header.sizes("sizes", axes) * _NRRD_BYTES[kind],
        "gzip" if encoding.startswith("gz") else "raw",
        text=encoding not in ("raw", "gz", "gzip"),
        skipped=skipped,
    )
    return header


def _check_nrrd_geometry(header: TextHeader, axes: int) -> None:
    """Raises SpacingError for a spacing that is not positive, and InputError for units other than mm.

    Axes of channels have none, nan or ??? instead, as the format has it.
    """
    kinds = header.fields.get("kinds", "").split() or [*["list"] * (axes - 3), *["domain"] * 3][-axes:]
    texts = header.fields.get("spacings", "").split()
    values = [_number(text) for text in texts]
    spatial = [kind in _SPATIAL for kind in [*kinds, *["domain"] * axes][: len(values)]]
    channels = [math.isnan(value) and not own for value, own in zip(values, spatial, strict=True)]
    check_spacing([1.0 if own else value for value, own in zip(values, channels, strict=True)], "field spacings:")
    vectors = re.findall(r"\(([^()]*)\)|none", header.fields.get("space directions", ""))
    lengths = [math.hypot(*map(_number, vector.split(","))) for vector in vectors if vector]
    check_spacing(lengths, "field space directions: spacing")
    for name in ("space units", "units"):
        units = re.findall(r'"([^"]*)"', header.fields.get(name, ""))[:axes]
        odd = [unit for unit in units if unit.strip().lower() in _OTHER_UNITS]
        if odd:
            raise InputError(f"field {name}", "mm", ", ".join(odd), "Store the spacing and the origin in mm.")


def _number(text: str) -> float:
    """0 for a text that is no number, which is no spacing either."""
    try:
        return float(text)
    except ValueError:
        return math.nan if text in ("none", "???") else 0.0


def segment_values(path: Path) -> dict[str, int]:
    """The segments of a .seg.nrrd of 3D Slicer: name -> label value. Raises InputError where segments overlap."""
    fields = nrrd(path).fields
    values: dict[str, int] = {}
    for number in range(len(fields)):
        if (name := fields.get(f"Segment{number}_Name")) is None:
            continue
        value = fields.get(f"Segment{number}_LabelValue", str(number + 1))
        if fields.get(f"Segment{number}_Layer", "0") != "0":
            raise InputError(path, "segments in one layer", f"that segment {name} overlaps others", _ONE_LAYER)
        if not value.isdecimal() or name in values or int(value) in values.values():
            raise InputError(path, "segments with names and label values of their own", f"{name} = {value}", _AGAIN)
        values[name] = int(value)
    return values


_ONE_LAYER = "In 3D Slicer, remove the overlap (Logical operators), or export the segments as a label map."


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """The lines at the beginning of a file, and where each ends."""
    with path.open("rb") as file:
        while file.tell() < _MOST_BYTES and (line := file.readline(_MOST_BYTES)):
            yield line.decode("utf-8", "replace").rstrip("\r\n"), file.tell()


def _beside(path: Path, name: str) -> Path:
    """The file that a header names, in the header's folder or below it. Raises InputError where there is none."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        remedy = "Put it beside the header and correct the header."
        raise InputError(path.name, "a file of voxels in the header's own folder", name, remedy)
    voxels = path.parent / name
    if not voxels.is_file():
        raise InputError(path.name, f"the file of its voxels, {name}", "no such file", "Copy it beside the header.")
    return voxels


def _check_voxels(header: TextHeader, declared: int, encoding: str, text: bool, skipped: int) -> None:
    """Raises InputError where the voxels that are declared are not there, or are damaged.

    skipped: bytes before the voxels; -1 where the header leaves that open.
    """
    stored = header.voxels.stat().st_size
    check_size(header.path, declared, stored)
    if text:
        return
    if encoding == "raw":
        found = stored - header.start - max(skipped, 0)
        if found < declared:
            raise InputError(header.voxels.name, f"{declared:,} bytes of voxels", f"{found:,}", _AGAIN)
    elif skipped == 0:
        kind = {"zlib": 15, "gzip": 31}[encoding]
        found = len(decompressed(pieces_of(header.voxels, header.start), kind, declared))
        if found < declared:
            raise InputError(header.voxels.name, f"{declared:,} bytes of voxels", f"{found:,}", _AGAIN)


def _wrong(field: str, expected: str, found: str, remedy: str = _AGAIN) -> InputError:
    return InputError(f"field {field}", expected, found[:60], remedy)
