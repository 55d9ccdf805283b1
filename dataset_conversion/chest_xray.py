"""Lung masks of the Montgomery and Shenzhen chest X-rays (Jaeger et al. 2014)."""

from functools import partial

from .conversion import Conversion, Options, RawCase
from .images import is_coloured, write_grey, write_mask
from .sources import case_name, count, image_files, subfolder

DESCRIPTION = "chest X-rays: folders images (or CXR_png) and masks of pictures with equal names"
THRESHOLD = 127


def convert(options: Options) -> Conversion:
    """Masks above 127 are lung. A mask is named as its image, with or without _mask; images without go to imagesTs."""
    images = image_files(subfolder(options.source, ("images", "CXR_png"), DESCRIPTION))
    masks = {
        file.stem.removesuffix("_mask"): file
        for file in image_files(subfolder(options.source, ("masks", "mask"), DESCRIPTION))
    }
    cases = []
    for image in images:
        mask = masks.get(image.stem)
        label = partial(write_mask, [mask], THRESHOLD, image) if mask else None
        cases.append(RawCase(case_name(image.stem), (partial(write_grey, image),), label))
    notes = []
    if coloured := [image for image in images if is_coloured(image)]:
        notes.append(f"{count(coloured, 'image')} in colour: turned to grey.")
    if unlabelled := [image for image in images if image.stem not in masks]:
        notes.append(f"{count(unlabelled, 'image')} without a mask: in imagesTs.")
    if unused := sorted(set(masks) - {image.stem for image in images}):
        notes.append(f"{count(unused, 'mask')} without an image: left out.")
    labels = {"background": 0, "lung": 1}
    return Conversion("ChestXray", ("X-ray",), labels, ".png", tuple(cases), False, tuple(notes))
