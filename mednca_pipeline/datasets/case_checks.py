"""Findings in the voxels and the geometry of one case."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..runtime.alignment import Placed, compare, header_doubts
from ..runtime.errors import InputError
from ..runtime.images import Image, read_image, read_labels
from ..runtime.labels import Labels
from ..runtime.listing import listed
from ..runtime.spacing import unit_of
from .dataset import Case, Dataset
from .findings import FATAL, NOTE, WARNING, Finding, from_error


@dataclass(frozen=True)
class CaseCheck:
    """What one case contributes to the report of its dataset. Hashes are "" and tuples () where reading failed.

    shape, spacing_mm: of the image, per LPS array axis. unit: that its header gives the spacing in, if it is not mm.
    image_sha256, label_sha256: hashes of the voxels. present: names of the labels that occur.
    """

    name: str
    findings: tuple[Finding, ...]
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    unit: str = ""
    image_sha256: str = ""
    label_sha256: str = ""
    present: tuple[str, ...] = ()

    @property
    def ndim(self) -> int:
        """0 where reading failed."""
        return len(self.shape)


@dataclass(frozen=True)
class LoadedCase:
    """A case that is read once for all uses. Image and label are None where they could not be read.

    label: in the image's orientation where one of the two has none (runtime.alignment). findings: those of reading,
    and of comparing the geometries of the files.
    """

    image: Image | None
    label: Image | None
    findings: tuple[Finding, ...]


def check_case(case: Case, dataset: Dataset) -> CaseCheck:
    """Reads and checks one case. A damaged file never raises. Only the facts of the dataset are used, not its cases."""
    return check_loaded(case, load_case(case, dataset.spacing_known), dataset)


def check_loaded(case: Case, loaded: LoadedCase, dataset: Dataset) -> CaseCheck:
    """As `check_case`, for a case that is read already."""
    image, label = loaded.image, loaded.label
    findings = [*loaded.findings, *check_arrays(case, image, label, dataset)]
    present = tuple(name for name, mask in dataset.labels.masks(label.array) if mask.any()) if label else ()
    return CaseCheck(
        case.name,
        tuple(findings),
        image.geometry.shape if image else (),
        image.spacing_mm if image else (),
        unit_of(image.geometry) if image else "",
        voxels_sha256(image.array) if image else "",
        voxels_sha256(label.array) if label else "",
        present,
    )


def load_case(case: Case, spacing_known: bool = True) -> LoadedCase:
    """Reads a case channel by channel. Files that do not exist are passed over: `check_files` names them.

    spacing_known: whether another spacing of two files is fatal.
    """
    findings: list[Finding] = []
    channels = [(file, _read(read_image, case, file, findings)) for file in case.images if file.exists()]
    label = _read(read_labels, case, case.label, findings) if case.label and case.label.exists() else None
    read = [(file, image) for file, image in channels if image is not None]
    if len(read) < len(case.images):
        return LoadedCase(None, label, tuple(findings))
    first_file, first = read[0]
    placed = Placed(first_file, first.geometry)
    findings += _header_doubts(case, placed)
    for file, image in read[1:]:
        findings += compare_geometry(case, Placed(file, image.geometry), placed, spacing_known)
    if label is not None and case.label is not None:
        findings += _header_doubts(case, Placed(case.label, label.geometry))
        findings += compare_geometry(case, Placed(case.label, label.geometry), placed, spacing_known)
        label = label.on(first.geometry)
    if len(read) == 1:
        return LoadedCase(first, label, tuple(findings))
    arrays = [image.on(first.geometry).array for _, image in read]
    if any(array.shape[1:] != first.array.shape[1:] for array in arrays):
        return LoadedCase(None, label, tuple(findings))
    return LoadedCase(Image(np.concatenate(arrays), first.spacing_mm, first.geometry), label, tuple(findings))


def check_arrays(case: Case, image: Image | None, label: Image | None, dataset: Dataset) -> list[Finding]:
    """Findings in the arrays of a case: image (C, *spatial) and label (1, *spatial). None is passed over."""
    findings: list[Finding] = []
    if image is not None:
        findings += _check_channels(case, image, dataset)
        findings += _check_intensities(case, image)
    if label is not None and case.label is not None:
        findings += _check_labels(case, case.label, label.array, dataset.labels)
    return findings


def compare_geometry(case: Case, found: Placed, reference: Placed, spacing_known: bool = True) -> Iterator[Finding]:
    """One finding per quantity in which two files of a case differ (runtime.alignment)."""
    for mismatch in compare(found, reference, spacing_known):
        severity = FATAL if mismatch.fatal else WARNING
        yield Finding(severity, case.name, found.file, mismatch.found, mismatch.expected, mismatch.remedy)


def _header_doubts(case: Case, placed: Placed) -> Iterator[Finding]:
    for doubt in header_doubts(placed.geometry):
        found, _, assumed = doubt.partition(": ")
        remedy = f"Nothing, if the assumption holds: {assumed}. Else correct the header, or export the file again."
        yield Finding(NOTE, case.name, placed.file, found, "a header that says where each voxel lies", remedy)


def voxels_sha256(array: np.ndarray) -> str:
    """The hash of shape and values. The type in which they are stored does not matter."""
    values = np.ascontiguousarray(array, dtype=np.float32)
    return hashlib.sha256(str(array.shape).encode() + values.tobytes()).hexdigest()


def _read(reader: Callable[[Path], Image], case: Case, file: Path, findings: list[Finding]) -> Image | None:
    """Reads a file, or adds a finding and returns None."""
    try:
        return reader(file)
    except InputError as error:
        findings.append(from_error(case.name, file, error))
    except MemoryError:
        found = f"an image too large for this machine's memory ({file.stat().st_size / 1e6:.0f} MB on disk)"
        remedy = (
            "Check it with a viewer: a damaged header may name a wrong size. Otherwise crop it, or leave this case out."
        )
        findings.append(Finding(FATAL, case.name, file, found, "an image that fits into memory", remedy))
    return None


def _check_channels(case: Case, image: Image, dataset: Dataset) -> Iterator[Finding]:
    found, expected = image.array.shape[0], len(dataset.channel_names)
    if found == expected or len(case.images) not in (1, expected):  # another number of files is already reported
        return
    file, number = case.images[0], f"{found} channel{'s' * (found > 1)}"
    expectation = f"{expected}: {', '.join(dataset.channel_names)}"
    remedy = 'Correct "channel_names" in dataset.json, or store another number of channels.'
    if found == 1 and len(case.images) == 1 and f"{case.name}_0000" in file.name:
        number = f"no such file, and 1 channel in {file.name}"
        file = file.with_name(file.name.replace(f"{case.name}_0000", f"{case.name}_0001"))
        remedy = "Add the files of the other channels, or leave this case out."
    elif (found, expected) == (3, 1):
        remedy = 'Colour images need three "channel_names" (R, G, B) in dataset.json; else store the image in grey.'
    yield Finding(FATAL, case.name, file, number, expectation, remedy)


def _check_intensities(case: Case, image: Image) -> Iterator[Finding]:
    constant: list[tuple[int, float]] = []
    for index, channel in enumerate(image.array):
        low, high = float(channel.min()), float(channel.max())  # NaN shows in both
        if not (np.isfinite(low) and np.isfinite(high)):
            nans, infinite = int(np.isnan(channel).sum()), int(np.isinf(channel).sum())
            found = f"{nans} NaN and {infinite} infinite voxels{_which(case, image, index)}"
            remedy = "Replace them, for example by 0, or leave this case out."
            yield Finding(FATAL, case.name, _channel_file(case, index), found, "finite intensities", remedy)
        elif low == high:
            constant.append((index, low))
    severity = FATAL if len(constant) == image.array.shape[0] else WARNING
    for index, value in constant:
        remedy = "Export the image again, or leave this case out."
        if severity == WARNING:
            remedy = "Do nothing if the channel is missing on purpose; otherwise export it again."
        found = f"the value {value:g} everywhere{_which(case, image, index)}"
        yield Finding(severity, case.name, _channel_file(case, index), found, "an image that varies", remedy)


def _check_labels(case: Case, file: Path, array: np.ndarray, labels: Labels) -> Iterator[Finding]:
    values = set(np.unique(array).tolist())
    unknown = sorted(values - labels.valid_values)
    if unknown:
        expected = f"only {', '.join(str(value) for value in sorted(labels.valid_values))}, as in dataset.json"
        found = f"label value{'s' * (len(unknown) > 1)} {listed(unknown, 8)}"
        yield Finding(FATAL, case.name, file, found, expected, _label_remedy(unknown, labels))
    elif values <= {0, labels.ignore}:
        found = "only background" if labels.ignore not in values else "only background and ignored voxels"
        remedy = "Do nothing if the image shows none of the classes; otherwise label it."
        yield Finding(NOTE, case.name, file, found, "some foreground (empty labels are allowed)", remedy)


def _label_remedy(unknown: list[int], labels: Labels) -> str:
    if unknown == [255]:
        return "Map 255 to 1 (mednca_convert pairs --map 255:1)."
    if labels.ignore is None:
        return 'Correct the label, name the value in "labels" of dataset.json, or declare it as "ignore".'
    return 'Correct the label, or name the value in "labels" of dataset.json.'


def _channel_file(case: Case, index: int) -> Path:
    return case.images[index] if len(case.images) > 1 and index < len(case.images) else case.images[0]


def _which(case: Case, image: Image, index: int) -> str:
    """Names the channel where one file holds several."""
    return f" in channel {index}" if len(case.images) == 1 and image.array.shape[0] > 1 else ""
