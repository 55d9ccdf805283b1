"""What the label values of a dataset mean, and the way between label maps and a network's outputs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputError
from .names import check_text

_LARGEST = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Labels:
    """The foreground outputs of a dataset, in order.

    names: one per foreground output.
    values: the label values that each output covers. Without regions an output covers exactly one value.
    region_order: the value that each region writes, in the order of writing (nnU-Net's regions_class_order), or ().
    ignore: the value of voxels that nobody labelled, or None.
    """

    names: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    region_order: tuple[int, ...] = ()
    ignore: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError for values that label files cannot have, or that two classes share."""
        for name in self.names:
            check_text("labels", name)
        if len(set(self.names)) < len(self.names) or len(self.names) != len(self.values):
            found = f"{len(self.names)} names and {len(self.values)} values"
            raise InputError("labels", "names that differ, and the values of each", found)
        if not all(self.values) or (not self.region_order and any(len(values) > 1 for values in self.values)):
            raise InputError("labels", "one value for each class, or some for each region", str(self.values))
        if self.region_order:
            _region_order(dict(zip(self.names, self.values, strict=True)), self.region_order, "region_order")
        self._check_values("labels")

    @classmethod
    def from_dataset_json(cls, labels: object, regions_class_order: object, source: Path) -> "Labels":
        """Reads `labels` and `regions_class_order` as they stand in dataset.json, the file `source`.

        Raises InputError naming what is wrong.
        """
        where = f"{source}: labels"
        if not isinstance(labels, Mapping) or not labels:
            raise InputError(where, 'an object such as {"background": 0, "liver": 1}', repr(labels))
        covered = {str(name): _values(str(name), value, where) for name, value in labels.items()}
        if covered.pop("background", None) != (0,):
            raise InputError(where, '"background": 0', str(dict(labels)), "Add or correct it.")
        ignore = covered.pop("ignore", None)
        if ignore is not None and len(ignore) != 1:
            raise InputError(where, 'one value for "ignore"', str(list(ignore)))
        if not covered:
            raise InputError(where, "at least one label besides background", "none", "Add one.")
        order: tuple[int, ...] = ()
        if any(len(values) > 1 for values in covered.values()):
            order = _region_order(covered, regions_class_order, f"{source}: regions_class_order")
        try:
            return cls(tuple(covered), tuple(covered.values()), order, ignore[0] if ignore else None)
        except InputError as error:
            raise InputError(where, error.expected, error.found, error.remedy) from error

    @property
    def has_regions(self) -> bool:
        return bool(self.region_order)

    @property
    def n_outputs(self) -> int:
        """Channels of the network: background and one per class (softmax), or one per region (sigmoid)."""
        return len(self.names) + (not self.has_regions)

    @property
    def valid_values(self) -> set[int]:
        """Every value that a label map of this dataset may hold, background and `ignore` included."""
        ignore = () if self.ignore is None else (self.ignore,)
        return {0, *ignore, *(value for values in self.values for value in values)}

    @property
    def dtype(self) -> np.dtype:
        """The smallest of uint8 and uint16 that holds every value."""
        return np.dtype(np.uint8 if max(self.valid_values) <= 255 else np.uint16)

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Label values (...) -> float32 (n_outputs, ...), one-hot or regions; zero everywhere in `ignore` voxels."""
        encoded = np.zeros((self.n_outputs, *labels.shape), np.float32)
        first = 0 if self.has_regions else 1
        if first:
            np.equal(labels, 0, out=encoded[0], casting="unsafe")
        for output, (_, mask) in zip(encoded[first:], self.masks(labels), strict=True):
            output[mask] = 1
        return encoded

    def decode(self, channels: Iterable[np.ndarray]) -> np.ndarray:
        """Probability maps (...), one per output and read one at a time -> label values (...) of `dtype`.

        Without regions: the most probable class; among equals the first. With regions: each region that is more
        probable than 0.5 writes its value of `region_order`, in turn. At most two maps are held at a time.
        Raises ValueError when the number of maps is not the number of outputs.
        """
        maps = iter(channels)
        try:
            labels = self._decode_regions(maps) if self.has_regions else self._decode_classes(maps)
        except StopIteration:
            raise ValueError(f"Expected {self.n_outputs} probability maps, found fewer.") from None
        if next(maps, None) is not None:
            raise ValueError(f"Expected {self.n_outputs} probability maps, found more.")
        return labels

    def masks(self, labels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """(name, bool mask) per foreground output."""
        for name, values in zip(self.names, self.values, strict=True):
            yield name, labels == values[0] if len(values) == 1 else np.isin(labels, values)

    def foreground(self, labels: np.ndarray) -> np.ndarray:
        """bool mask: any label but background and `ignore`."""
        mask = labels != 0
        return mask if self.ignore is None else mask & (labels != self.ignore)

    def _decode_classes(self, maps: Iterator[np.ndarray]) -> np.ndarray:
        best = np.array(next(maps))
        labels = np.zeros(best.shape, self.dtype)
        for (value,) in self.values:
            _raise_to(best, labels, value, next(maps))  # a name would hold this map while the next one is made
        return labels

    def _decode_regions(self, maps: Iterator[np.ndarray]) -> np.ndarray:
        inside = next(maps) > 0.5
        labels = np.where(inside, self.dtype.type(self.region_order[0]), self.dtype.type(0))
        for value in self.region_order[1:]:
            np.greater(next(maps), 0.5, out=inside)
            labels[inside] = value
        return labels

    def _check_values(self, where: str) -> None:
        foreground = [value for values in self.values for value in values]
        if not self.has_regions and len(set(foreground)) < len(foreground):
            raise InputError(where, "a value of its own for each label", str(foreground), "Renumber them.")
        if self.ignore in foreground or self.ignore == 0 or 0 in foreground:
            raise InputError(
                where,
                f"no class with {'the value' if self.ignore is None else f'ignore ({self.ignore}) or'} 0 of background",
                str(dict(zip(self.names, self.values, strict=True))),
                "Renumber them, in the label files too.",
            )
        if self.ignore is not None and self.ignore < max(foreground, default=0):  # as in nnU-Net
            raise InputError(
                where,
                'the highest of all label values for "ignore"',
                f"{self.ignore} below {max(foreground)}",
                "Renumber them, in the label files too.",
            )
        wrong = sorted(value for value in self.valid_values if not 0 <= value <= _LARGEST)
        if wrong:
            raise InputError(where, f"label values from 0 to {_LARGEST}", str(wrong), "Renumber them.")


def _raise_to(best: np.ndarray, labels: np.ndarray, value: int, probability: np.ndarray) -> None:
    """Writes `value` where `probability` is above the best so far, and raises the best, both in place."""
    labels[probability > best] = value
    np.maximum(best, probability, out=best)


def _values(name: str, value: object, where: str) -> tuple[int, ...]:
    """One entry of "labels" as a tuple of its values."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not values or any(isinstance(item, bool) or not isinstance(item, int) for item in values):
        remedy = f'Turn it round: "{value}": {name}.' if name.isdigit() else ""
        raise InputError(where, f'whole numbers for "{name}"', repr(value), remedy)
    return values


def _region_order(covered: Mapping[str, tuple[int, ...]], order: object, where: str) -> tuple[int, ...]:
    """nnU-Net's regions_class_order, checked against the regions."""
    if not isinstance(order, (list, tuple)) or len(order) != len(covered):
        expected = f"one value for each of {', '.join(covered)}, as these are regions"
        raise InputError(where, expected, "none" if order is None else repr(order))
    known = {value for values in covered.values() for value in values}
    if any(isinstance(value, bool) or not isinstance(value, int) for value in order) or not set(order) <= known:
        expected = f"values of the regions ({', '.join(map(str, sorted(known)))})"
        raise InputError(where, expected, ", ".join(map(str, order)))
    return tuple(order)
