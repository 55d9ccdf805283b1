"""Overlay pictures of a whole folder of predictions."""

from collections.abc import Callable
from pathlib import Path

from ..runtime.errors import InputError
from ..runtime.formats import split_ending
from ..runtime.images import SUPPORTED, read_image, read_labels
from .overlays import overlay_figure
from .summary import label_files


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
        raise InputError(f"-i {images} is one image, but {predictions} holds {len(files)} predictions: give a folder.")
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
    raise InputError(f"expected an image {case} or {case}_0000 in {folder}, found none: give its folder with -i.")


def _plot(image_file: Path, prediction_file: Path, reference_file: Path | None, path: Path, slices: int) -> Path:
    image = read_image(image_file)
    titles, maps = ["prediction"], [read_labels(prediction_file).array[0]]
    if reference_file:
        titles.append("reference")
        maps.append(read_labels(reference_file).array[0])
    for title, label_map in zip(titles, maps, strict=True):
        if label_map.shape != image.array.shape[1:]:
            raise InputError(
                f"{title} of {image_file}: expected its shape {image.array.shape[1:]}, found {label_map.shape}."
            )
    overlay_figure(image.array, maps, titles, path, image.spacing_mm, slices)
    return path
