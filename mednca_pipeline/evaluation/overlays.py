"""Pictures of segmentations on their images: of one case, and of a whole folder of predictions."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.alignment import Placed
from ..runtime.errors import InputError
from ..runtime.files import replacing
from ..runtime.geometry import Geometry
from ..runtime.images import Image, read_image, read_labels
from ..runtime.labels import Labels
from .colours import class_names, colour_of
from .summary import check_geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_log = logging.getLogger(__name__)
_FILL, _PANEL_INCHES = 0.35, 3.2


@dataclass(frozen=True)
class Picture:
    """What a picture shows of a case.

    image: (C, z, y, x) or (C, y, x) in LPS; a three-channel 2D image is shown in colour, else the first channel.
    label_maps: title -> label map, (z, y, x) or (y, x), of the image's shape. geometry: of the image's file, for the
    aspect and the numbers of slices; None: voxels of equal sides, numbered as the array. classes: {label value: name}.
    dice: of the classes, by name; {} where it was not measured. slices: how many; those with the most foreground over
    all label maps, in the image's order. across: axis of a volume (0 axial, 1 coronal, 2 sagittal) across which slices
    are taken; None: the one of the coarsest spacing (ties: axial).
    """

    case: str
    image: np.ndarray
    label_maps: Mapping[str, np.ndarray]
    geometry: Geometry | None = None
    classes: Mapping[int, str] = field(default_factory=dict)
    dice: Mapping[str, float] = field(default_factory=dict)
    slices: int = 1
    across: int | None = None

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        return self.geometry.spacing_mm if self.geometry else (1.0,) * (self.image.ndim - 1)


def plot_folder(
    image_of: Callable[[str], Sequence[Path]],
    predictions: Mapping[str, Path],
    references: Mapping[str, Path],
    out: Path,
    labels: Labels | None = None,
    slices: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], dict[str, str]]:
    """Writes `out/<case>.png` for each predicted label file.

    image_of: the files of a case's image, or InputError. predictions, references: {case: label file}; a case without a
    reference is drawn without. labels: name the classes; None: their values do.
    Returns the pictures and {case: what went wrong}.
    """
    written, failed = [], {}
    for done, (case, file) in enumerate(predictions.items(), start=1):
        try:
            files = {"prediction": file} | ({"reference": references[case]} if case in references else {})
            write_picture(read_picture(case, image_of(case), files, labels, slices), out / f"{case}.png")
            written.append(out / f"{case}.png")
        except InputError as error:
            failed[case] = str(error)
        progress(done, len(predictions))
    return written, failed


def read_picture(
    case: str, image_files: Sequence[Path], label_files: Mapping[str, Path], labels: Labels | None, slices: int = 1
) -> Picture:
    """The picture of a case from its files, with the Dice of prediction and reference where there are both.

    image_files: () draws the labels on black. Raises InputError where the shapes differ.
    """
    read = {title: read_labels(file) for title, file in label_files.items()}
    first = next(iter(read.values()))
    image = read_image(image_files) if image_files else Image(np.zeros_like(first.array), (), first.geometry)
    place = Placed([*image_files, *label_files.values()][0], image.geometry)
    maps = {}
    for title, file in label_files.items():
        placed = Placed(file, read[title].geometry)
        for doubt in check_geometry(placed, place, "Name the image that was segmented."):
            _log.warning("%s: %s; drawn voxel by voxel.", file, doubt)
        maps[title] = read[title].on(image.geometry).array[0]
    present = sorted({int(value) for label_map in maps.values() for value in np.unique(label_map)} - {0})
    classes = class_names(labels) if labels else {value: f"label {value}" for value in present}
    dice = _dice(maps, labels, classes) if "prediction" in maps and "reference" in maps else {}
    return Picture(case, image.array, maps, image.geometry, classes, dice, slices)


def write_picture(picture: Picture, path: Path) -> None:
    """Writes a PNG: per slice a row with the image, then the image under each of the label maps.

    Slices have the numbers of the file's own
    axis, from 0, as viewers count them. The legend names the classes with their colours and Dice.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    spacing, volume = picture.spacing_mm, picture.image.ndim == 4
    cut = _cut(spacing) if picture.across is None else picture.across
    views = _views(picture, cut)
    axis_spacing = spacing[:cut] + spacing[cut + 1 :] if volume else spacing
    aspect = axis_spacing[0] / axis_spacing[1]
    height, width = views[0][1].shape[:2]
    ratio = float(np.clip(height * aspect / width, 0.3, 3.0))
    columns = 1 + len(picture.label_maps)
    size = _PANEL_INCHES * columns, _PANEL_INCHES * ratio * len(views) + 0.9
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(picture.case, fontsize=10)
    grid = figure.subplots(len(views), columns, squeeze=False)
    values = sorted({int(value) for _, _, maps in views for plane in maps for value in np.unique(plane)} - {0})
    origin = "lower" if volume and cut else "upper"  # rows of z: superior is drawn at the top
    for row, (where, plane, maps) in zip(grid, views, strict=True):
        for axis, label_map, title in zip(row, [None, *maps], [f"image{where}", *picture.label_maps], strict=True):
            axis.imshow(plane, cmap="gray", aspect=aspect, origin=origin, interpolation="nearest")
            if label_map is not None:
                _draw_labels(axis, label_map, values)
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
    if legend := legend_of(picture, values):
        handles = [Patch(color=colour_of(value), label=text) for value, text in legend.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def legend_of(picture: Picture, values: Sequence[int]) -> dict[int, str]:
    """{label value: its class, with the Dice of the whole case}, for the `values` shown and every class with a Dice."""
    told = {value for value, name in picture.classes.items() if name in picture.dice}
    legend = {}
    for value in sorted({*values, *told}):
        name = picture.classes.get(value, f"label {value}")
        dice = picture.dice.get(name, math.nan)
        legend[value] = name if math.isnan(dice) else f"{name}: Dice {dice:.3f}"
    return legend


def slice_name(geometry: Geometry | None, axis: int, index: int, count: int) -> str:
    """A slice of the array as a viewer of its file counts it: along an axis i, j or k of the file, from 0.

    axis, index: of the LPS array. count: slices along this axis.
    """
    if geometry is None:
        return f"slice {index} (0 to {count - 1})"
    number = count - 1 - index if geometry.flips[axis] else index
    return f"slice {'ijk'[geometry.axes[axis]]} = {number} (0 to {count - 1})"


def slices_with_most_foreground(labels_list: Sequence[np.ndarray], axis: int, count: int) -> list[int]:
    """Indices along `axis` of the `count` slices with the most labelled voxels, ascending; the middle if none has."""
    other = tuple(each for each in range(labels_list[0].ndim) if each != axis)
    area = sum((labels > 0).sum(axis=other) for labels in labels_list)
    if not area.any():
        return [len(area) // 2]
    order = np.argsort(-area, kind="stable")[:count]
    return sorted(int(index) for index in order if area[index])


def _dice(maps: Mapping[str, np.ndarray], labels: Labels | None, classes: Mapping[int, str]) -> dict[str, float]:
    """{class: Dice of prediction and reference}; NaN where it is in neither."""
    predicted, true = maps["prediction"], maps["reference"]
    if labels is None:
        return {name: _overlap(predicted == value, true == value) for value, name in classes.items()}
    masks = zip(labels.masks(predicted), labels.masks(true), strict=True)
    return {name: _overlap(mask, other) for (name, mask), (_, other) in masks}


def _overlap(mask: np.ndarray, other: np.ndarray) -> float:
    total = np.count_nonzero(mask) + np.count_nonzero(other)
    return 2 * np.count_nonzero(mask & other) / total if total else math.nan


def _cut(spacing: Sequence[float]) -> int:
    """The axis across which slices are taken: the coarsest, and the first (axial) of equals."""
    return int(np.argmax(np.asarray(spacing) >= max(spacing) * (1 - 1e-3)))


def _views(picture: Picture, cut: int) -> list[tuple[str, np.ndarray, list[np.ndarray]]]:
    """(text for the title, grey (h, w) or colour (h, w, 3) plane in 0..1, label planes) per slice shown."""
    image, maps = picture.image, list(picture.label_maps.values())
    if image.ndim == 3:
        plane = np.moveaxis(_in_range(image), 0, -1) if len(image) == 3 else _in_range(image[:1])[0]
        return [("", plane, maps)]
    volume = _in_range(image[:1])[0]
    return [
        (
            f", {slice_name(picture.geometry, cut, index, volume.shape[cut])}",
            volume.take(index, cut),
            [labels.take(index, cut) for labels in maps],
        )
        for index in slices_with_most_foreground(maps, cut, picture.slices)
    ]


def _in_range(channels: np.ndarray) -> np.ndarray:
    """Scaled so that the 0.5 and 99.5 percentiles of all channels become 0 and 1."""
    low, high = np.percentile(channels, (0.5, 99.5))
    return np.clip((channels - low) / max(float(high - low), 1e-6), 0, 1)


def _draw_labels(axis: "Axes", label_map: np.ndarray, values: Sequence[int]) -> None:
    fill = np.zeros((*label_map.shape, 4))
    for value in values:
        mask = label_map == value
        colour = colour_of(value)
        fill[mask] = (*colour, _FILL)
        if mask.any() and not mask.all() and min(mask.shape) > 1:
            axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.0)
    image = axis.get_images()[0]
    axis.imshow(fill, aspect=axis.get_aspect(), origin=image.origin, interpolation="nearest")
