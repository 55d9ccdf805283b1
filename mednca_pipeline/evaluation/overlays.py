"""Pictures of segmentations on their image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..runtime.files import replacing

_FILL, _PANEL_INCHES = 0.35, 3.2


def overlay_figure(
    image: np.ndarray,
    labels_list: Sequence[np.ndarray],
    titles: Sequence[str],
    path: Path,
    spacing_mm: Sequence[float] | None = None,
    slices: int = 1,
) -> None:
    """Writes a PNG: per slice a row with the image, then the image under each of the label maps.

    image: (C, z, y, x) or (C, y, x) in LPS; a three-channel 2D image is shown in colour, else the first channel.
    labels_list: label maps (z, y, x) or (y, x) of the image's shape; one title for each in `titles`.
    spacing_mm: per axis, for the aspect; 3D images are cut across the axis of the coarsest spacing (ties: axial).
    slices: how many slices; those with the most foreground over all label maps, in the image's order.
    """
    from matplotlib.figure import Figure

    spacing = tuple(spacing_mm) if spacing_mm is not None else (1.0,) * (image.ndim - 1)
    views = _views(image, labels_list, spacing, slices)
    axis_spacing = spacing if image.ndim == 3 else spacing[: _cut(spacing)] + spacing[_cut(spacing) + 1 :]
    aspect = axis_spacing[0] / axis_spacing[1]
    height, width = views[0][1].shape[:2]
    ratio = float(np.clip(height * aspect / width, 0.3, 3.0))
    columns = 1 + len(labels_list)
    figure = Figure(figsize=(_PANEL_INCHES * columns, _PANEL_INCHES * ratio * len(views) + 0.4), layout="constrained")
    grid = figure.subplots(len(views), columns, squeeze=False)
    values = sorted({int(value) for _, _, maps in views for plane in maps for value in np.unique(plane)} - {0})
    origin = "upper" if image.ndim == 3 or _cut(spacing) == 0 else "lower"  # rows of z: superior is drawn at the top
    for row, (where, plane, maps) in zip(grid, views, strict=True):
        for axis, label_map, title in zip(row, [None, *maps], [f"image{where}", *titles], strict=True):
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


def _cut(spacing: Sequence[float]) -> int:
    """The axis across which slices are taken: the coarsest, and the first (axial) of equals."""
    return int(np.argmax(np.asarray(spacing) >= max(spacing) * (1 - 1e-3)))


def _views(image, labels_list, spacing, slices) -> list[tuple[str, np.ndarray, list[np.ndarray]]]:
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


def _draw_labels(axis, label_map: np.ndarray, values: Sequence[int]) -> None:
    from matplotlib import colormaps

    colours = colormaps["tab10"].colors
    fill = np.zeros((*label_map.shape, 4))
    for index, value in enumerate(values):
        mask = label_map == value
        colour = colours[(index + 1) % len(colours)]
        fill[mask] = (*colour, _FILL)
        if mask.any() and not mask.all() and min(mask.shape) > 1:
            axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.0)
    image = axis.get_images()[0]
    axis.imshow(fill, aspect=axis.get_aspect(), origin=image.origin, interpolation="nearest")
