"""What dataset.json says, in nnU-Net's second form or, where that is unambiguous, in its first form."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import InputError
from ..runtime.files import read_json
from ..runtime.images import SUPPORTED, split_ending
from ..runtime.labels import Labels
from ..runtime.names import check_text

NAME = "dataset.json"
PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")  # formats whose pixels have no known size
_UNSUITED = (".dcm",)  # a series is a folder and not a file of a raw dataset


@dataclass(frozen=True)
class Description:
    """The validated contents of dataset.json.

    cases: the explicit "dataset", or None. allow_outside: whether its files may lie outside of `folder`. notes: what
    was assumed.
    """

    folder: Path
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str
    spacing_known: bool
    num_training: int | None
    cases: dict[str, Any] | None
    allow_outside: bool
    notes: tuple[str, ...]

    @property
    def file(self) -> Path:
        return self.folder / NAME


def read_description(folder: Path) -> Description:
    """Reads `folder`/dataset.json. Raises InputError naming the key that is missing or wrong."""
    file = folder / NAME
    if not file.exists():
        raise InputError(
            file,
            "a dataset in nnU-Net's raw format (dataset.json, imagesTr, labelsTr)",
            "no such file",
            "Make one from images and masks with mednca_convert.",
        )
    data = read_json(file)
    if not isinstance(data, dict):
        raise InputError(file, "an object with channel_names, labels and file_ending", f"{data!r:.80}")
    labels = Labels.from_dataset_json(data.get("labels"), data.get("regions_class_order"), file)
    ending, notes = _file_ending(data, folder)
    spacing_known = _truth(data, "spacing_known", ending not in PICTURES, file)
    allow_outside = _truth(data, "allow_outside", False, file)
    count = data.get("numTraining")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise InputError(f"{file}: numTraining", "a whole number", f"{count!r:.80}")
    cases = data.get("dataset")
    if cases is not None and not isinstance(cases, dict):
        raise InputError(f"{file}: dataset", "an object of cases", f"{cases!r:.80}")
    channels = _channel_names(data, file)
    return Description(folder, channels, labels, ending, spacing_known, count, cases, allow_outside, notes)


def _truth(data: dict[str, Any], key: str, default: bool, file: Path) -> bool:
    value = data.get(key, default)
    if not isinstance(value, bool):
        raise InputError(f"{file}: {key}", "true or false", f"{value!r:.80}")
    return value


def _channel_names(data: dict[str, Any], file: Path) -> tuple[str, ...]:
    names = data.get("channel_names", data.get("modality"))
    if isinstance(names, list):
        names = {str(index): name for index, name in enumerate(names)}
    if not isinstance(names, dict) or sorted(names) != sorted(str(index) for index in range(len(names))) or not names:
        raise InputError(f"{file}: channel_names", 'names such as {"0": "T1", "1": "T2"}', f"{names!r:.80}")
    texts = (str(names[str(index)]) for index in range(len(names)))
    return tuple(check_text(f"{file}: channel_names", text) for text in texts)


def _file_ending(data: dict[str, Any], folder: Path) -> tuple[str, tuple[str, ...]]:
    """The ending in lower case, and notes. Without an ending in dataset.json, it is that of the training images."""
    where = f"{folder / NAME}: file_ending"
    ending = data.get("file_ending")
    if ending is not None:
        if isinstance(ending, str) and ending.lower() in SUPPORTED and ending.lower() not in _UNSUITED:
            return ending.lower(), ()
        raise InputError(where, f"one of {_choices()}", repr(ending))
    images = folder / "imagesTr"
    files = (file for file in images.iterdir() if not file.name.startswith(".")) if images.is_dir() else ()
    found = sorted({split_ending(file)[1] for file in files} & (set(SUPPORTED) - set(_UNSUITED)))
    if len(found) != 1:
        present = " and ".join(found) or "no image"
        raise InputError(where, f"one of {_choices()}", f"none, and {present} in imagesTr", "Add it.")
    return found[0], (f'dataset.json has no "file_ending": {found[0]} is taken from the files in imagesTr.',)


def _choices() -> str:
    return ", ".join(ending for ending in SUPPORTED if ending not in _UNSUITED)
