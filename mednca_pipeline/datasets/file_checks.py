"""Findings that need no file to be opened: missing, extra and misnamed files."""

from collections.abc import Iterator
from pathlib import Path

from ..runtime.images import SUPPORTED, output_ending, split_ending
from ..runtime.listing import listed
from .dataset import Case, Dataset, label_files, visible_files
from .findings import FATAL, WARNING, Finding, Severity

_COMPANIONS = {".mhd": {".raw", ".zraw"}, ".nhdr": {".raw", ".gz"}, ".hdr": {".img"}}  # files of voxels


def check_files(dataset: Dataset) -> list[Finding]:
    """Compares the names of the files with dataset.json and with each other."""
    findings = []
    if dataset.num_training is not None and dataset.num_training != len(dataset.training):
        findings.append(
            Finding(
                WARNING,
                "",
                dataset.folder / "dataset.json",
                f"numTraining {dataset.num_training}",
                f"{len(dataset.training)}, the number of training images",
                'Look for missing or extra files; else correct "numTraining".',
            )
        )
    for case in dataset.training:
        findings += _training_case(case, dataset)
    for case in dataset.test:
        findings += _channel_files(case, dataset, WARNING)
    if not dataset.explicit:
        findings += _orphans(dataset)
        for folder in ("imagesTr", "labelsTr", "imagesTs"):
            findings += _strangers(dataset, dataset.folder / folder)
    return findings


def _training_case(case: Case, dataset: Dataset) -> Iterator[Finding]:
    yield from _channel_files(case, dataset, FATAL)
    wanted = case.label or dataset.folder / "labelsTr" / f"{case.name}{output_ending(dataset.file_ending)}"
    if case.label is None or not case.label.exists():
        remedy = "Add the label, or move the image to imagesTs."
        yield Finding(FATAL, case.name, wanted, _absence(wanted), f"the label of {case.images[0].name}", remedy)


def _channel_files(case: Case, dataset: Dataset, severity: Severity) -> Iterator[Finding]:
    """Whether there is one file per channel, or one for all. The channels in a file show when it is read."""
    for file in case.images:
        if not file.exists():
            remedy = "Correct the path in dataset.json, or add the file."
            yield Finding(severity, case.name, file, _absence(file), f"an image of case {case.name}", remedy)
    names = [f"{case.name}_{index:04d}{dataset.file_ending}" for index in range(len(dataset.channel_names))]
    present = [file.name for file in case.images]
    if len(present) == 1 and (dataset.explicit or present[0] in (names[0], f"{case.name}{dataset.file_ending}")):
        return
    if len(present) == len(names) and (dataset.explicit or _lower(present) == _lower(names)):
        return
    missing = [name for name in names if name.lower() not in _lower(present)]
    extra = [name for name in present if name.lower() not in _lower(names)]
    if missing and not dataset.explicit:
        found = f"no such file, but {', '.join(present)}"
        remedy = "Add the channel's file, or leave this case out."
        yield Finding(severity, case.name, case.images[0].with_name(missing[0]), found, _channels(dataset), remedy)
    else:
        remedy = (
            'Remove the extra channels, or name them in "channel_names" of dataset.json. If these are separate cases, '
            f"add _0000 to each name: {_renamed(case.images[-1])}."
        )
        file = case.images[-1].with_name(extra[0]) if extra else case.images[-1]
        found = f"{len(present)} files: {listed(present, 4)}"
        yield Finding(severity, case.name, file, found, _channels(dataset), remedy)


def _absence(file: Path) -> str:
    return "a link to a file that is not there" if file.is_symlink() else "no such file"


def _orphans(dataset: Dataset) -> Iterator[Finding]:
    cases = {case.name for case in dataset.training}
    for name, file in label_files(dataset.folder / "labelsTr", dataset.file_ending).items():
        if name not in cases:
            expected = f"imagesTr/{name}_0000{dataset.file_ending}"
            remedy = "Add the image, rename the label after its image, or remove it."
            yield Finding(FATAL, name, file, "a label without an image", expected, remedy)


def _strangers(dataset: Dataset, folder: Path) -> Iterator[Finding]:
    """Files that are neither images nor labels of this dataset. Images in another format would be lost: fatal."""
    expected = {dataset.file_ending}
    if folder.name == "labelsTr":
        expected.add(output_ending(dataset.file_ending))
    allowed = expected | _COMPANIONS.get(dataset.file_ending, set())
    for path in visible_files(folder):
        if not path.is_dir() and split_ending(path)[1] in allowed:
            continue
        found = "a folder" if path.is_dir() else f"a file ending in {split_ending(path)[1] or 'nothing'}"
        wanted = f"only files ending in {' or '.join(sorted(expected))}"
        remedy = 'It is not used. Convert it to the dataset\'s "file_ending", or move it elsewhere.'
        lost = path.is_file() and split_ending(path)[1] in SUPPORTED and folder.name != "imagesTs"
        yield Finding(FATAL if lost else WARNING, "", path, found, wanted, remedy)


def _channels(dataset: Dataset) -> str:
    names = ", ".join(dataset.channel_names)
    return f"{len(dataset.channel_names)} channel{'s' * (len(dataset.channel_names) > 1)}: {names}"


def _renamed(file: Path) -> str:
    stem, ending = split_ending(file)
    return f"{stem}_0000{ending}"


def _lower(names: list[str]) -> list[str]:
    return [name.lower() for name in names]
