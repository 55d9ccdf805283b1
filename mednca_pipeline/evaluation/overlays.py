"""Pictures of segmentations on their images: of one case, and of a whole folder of predictions."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..runtime.alignment import Placed
from ..runtime.errors import InputError
from ..runtime.files import replacing
from ..runtime.formats import split_ending
from ..runtime.images import SUPPORTED, read_image, read_labels
from .summary import check_geometry, label_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_log = logging.getLogger(__name__)
_FILL, _PANEL_INCHES = 0.35, 3.2


def plot_folder(
    images: Path,
    predictions: Path,
    references: Path | None,
    out: Path,
    slices: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], dict[str, str]]:
    """Writes `out/<case>.png` for each label file in `predictions` (a folder, or one file).

    images: a folder with `<case>` or `<case>_0000` files or `<case>` DICOM folders, or the one image.
    references: a folder of label files; a case without one is drawn without.
    Returns the pictures and {case: what went wrong}. Raises InputError when there is nothing to draw.
    """
    files = {split_ending(predictions)[0]: predictions} if predictions.is_file() else label_files(predictions)
    true = label_files(references) if references else {}
    if images.is_file() and len(files) > 1:
        found = f"one image for the {len(files)} predictions in {predictions}"
        raise InputError(f"-i {images}", "a folder", found, "Name the folder of the images.")
    written, failed = [], {}
    for done, (case, file) in enumerate(files.items(), start=1):
        try:
            source = images if images.is_file() else find_image(images, case)
            written.append(_plot(source, file, true.get(case), out / f"{case}.png", slices))
        except InputError as error:
            failed[case] = str(error)
        progress(done, len(files))
    return written, failed


def find_image(folder: Path, case: str) -> Path:
    """The image of a case, its first channel where there are several. Raises InputError when there is none."""
    for stem in (case, f"{case}_0000"):
        for ending in SUPPORTED:
            if (folder / f"{stem}{ending}").is_file():
                return folder / f"{stem}{ending}"
    if (folder / case).is_dir():
        return folder / case
    raise InputError(folder, f"an image {case} or {case}_0000", "none", "Name the folder of the images with -i.")


def overlay_figure(
    image: np.ndarray,
    label_maps: Mapping[str, np.ndarray],
    path: Path,
    spacing_mm: Sequence[float] | None = None,
    slices: int = 1,
) -> None:
    """Writes a PNG: per slice a row with the image, then the image under each of the label maps.

    image: (C, z, y, x) or (C, y, x) in LPS; a three-channel 2D image is shown in colour, else the first channel.
    label_maps: title -> label map, (z, y, x) or (y, x), of the image's shape.
    spacing_mm: per axis, for the aspect; 3D images are cut across the axis of the coarsest spacing (ties: axial).
    slices: how many slices; those with the most foreground over all label maps, in the image's order.
    """
    from matplotlib.figure import Figure

    spacing = tuple(spacing_mm) if spacing_mm is not None else (1.0,) * (image.ndim - 1)
    views = _views(image, list(label_maps.values()), spacing, slices)
    axis_spacing = spacing if image.ndim == 3 else spacing[: _cut(spacing)] + spacing[_cut(spacing) + 1 :]
    aspect = axis_spacing[0] / axis_spacing[1]
    height, width = views[0][1].shape[:2]
    ratio = float(np.clip(height * aspect / width, 0.3, 3.0))
    columns = 1 + len(label_maps)
    figure = Figure(figsize=(_PANEL_INCHES * columns, _PANEL_INCHES * ratio * len(views) + 0.4), layout="constrained")
    grid = figure.subplots(len(views), columns, squeeze=False)
    values = sorted({int(value) for _, _, maps in views for plane in maps for value in np.unique(plane)} - {0})
    origin = "upper" if image.ndim == 3 or _cut(spacing) == 0 else "lower"  # rows of z: superior is drawn at the top
    for row, (where, plane, maps) in zip(grid, views, strict=True):
        for axis, label_map, title in zip(row, [None, *maps], [f"image{where}", *label_maps], strict=True):
            axis.imshow(plane, cmap="gray", aspect=aspect, origin=origin, interpolation="nearest")
            if label_map is not None:
                _draw_labels(axis, label_map, values)
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def slices_with_most_foreground(labels_list: Sequence[np.ndarray], axis: int, count: int) -> list[int]:
    """Indices along `axis` of the `count` slices with the most labelled voxels, ascending; the middle if none has."""
    other = tuple(each for each in range(labels_list[0].ndim) if each != axis)
    area = sum((labels > 0).sum(axis=other) for labels in labels_list)
    if not area.any():
        return [len(area) // 2]
    order = np.argsort(-area, kind="stable")[:count]
    return sorted(int(index) for index in order if area[index])


def _plot(image_file: Path, prediction_file: Path, reference_file: Path | None, path: Path, slices: int) -> Path:
    image = read_image(image_file)
    files = {"prediction": prediction_file} | ({"reference": reference_file} if reference_file else {})
    maps = {}
    for title, file in files.items():
        labels = read_labels(file)
        placed = Placed(file, labels.geometry), Placed(image_file, image.geometry)
        for doubt in check_geometry(*placed, "Name the image that was segmented."):
            _log.warning("%s: %s; drawn voxel by voxel.", file, doubt)
        maps[title] = labels.on(image.geometry).array[0]
    overlay_figure(image.array, maps, path, image.spacing_mm, slices)
    return path


def _cut(spacing: Sequence[float]) -> int:
    """The axis across which slices are taken: the coarsest, and the first (axial) of equals."""
    return int(np.argmax(np.asarray(spacing) >= max(spacing) * (1 - 1e-3)))


def _views(
    image: np.ndarray, labels_list: Sequence[np.ndarray], spacing: Sequence[float], slices: int
) -> list[tuple[str, np.ndarray, list[np.ndarray]]]:
    """(text for the title, grey (h, w) or colour (h, w, 3) plane in 0..1, label planes) per slice shown."""
    if image.ndim == 3:
        plane = np.moveaxis(_in_range(image), 0, -1) if len(image) == 3 else _in_range(image[:1])[0]
        return [("", plane, list(labels_list))]
    axis = _cut(spacing)
    volume = _in_range(image[:1])[0]
    return [
        (f", slice {index}", volume.take(index, axis), [labels.take(index, axis) for labels in labels_list])
        for index in slices_with_most_foreground(labels_list, axis, slices)
    ]


def _in_range(channels: np.ndarray) -> np.ndarray:
    """Scaled so that the 0.5 and 99.5 percentiles of all channels become 0 and 1."""
    low, high = np.percentile(channels, (0.5, 99.5))
    return np.clip((channels - low) / max(float(high - low), 1e-6), 0, 1)


def _draw_labels(axis: "Axes", label_map: np.ndarray, values: Sequence[int]) -> None:
    from matplotlib import colormaps

    tab10 = colormaps["tab10"]
    fill = np.zeros((*label_map.shape, 4))
    for index, value in enumerate(values):
        mask = label_map == value
        colour = tab10((index + 1) % tab10.N)[:3]
        fill[mask] = (*colour, _FILL)
        if mask.any() and not mask.all() and min(mask.shape) > 1:
            axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.0)
    image = axis.get_images()[0]
    axis.imshow(fill, aspect=axis.get_aspect(), origin=image.origin, interpolation="nearest")
