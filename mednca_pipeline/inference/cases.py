"""From image files to label files: one case, and the validation cases of a fold."""

import logging
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..datasets.channels import is_colour
from ..datasets.dataset import Case
from ..datasets.description import PICTURES
from ..runtime.alignment import header_doubts
from ..runtime.errors import InputError
from ..runtime.images import (
    SUPPORTED,
    Image,
    output_ending,
    read_header,
    read_image,
    split_ending,
    to_grey,
    volume_ending,
    write_labels,
    write_volume,
)
from ..runtime.spacing import unit_of
from .inputs import DICOM, InputCase
from .prediction import ImagePredictor, Prediction, output_names
from .quality_table import Row, volume_unit
from .ranges import range_warnings

log = logging.getLogger(__name__)
_ODD = re.compile(r"[^\w.-]+")  # in a class's name, and not wanted in a file's


def predict_case(
    predictor: ImagePredictor, case: InputCase, out: Path, save_probabilities: bool = False, save_variance: bool = False
) -> Row:
    """Predicts one input, writes its label file (last) and the maps asked for, and returns its row of quality.csv.

    Raises InputError, naming the file, for an input that cannot be predicted.
    """
    start = time.perf_counter()
    if case.problem:
        raise case.problem
    _check_header(predictor, case.files)
    image, notes = _read(predictor, case.files)
    prediction = _predict(predictor, image, case.files, save_variance)
    maps = map_files(predictor, case, save_probabilities, save_variance)
    if save_probabilities:
        for name, volume in prediction.probability_maps():
            write_volume(out / maps[name], volume, image.geometry)
    if save_variance:
        write_volume(out / maps[None], prediction.variance, image.geometry)
    write_labels(out / case.output, prediction.labels, image.geometry)
    ranges = range_warnings(image.array, image.spacing_mm, predictor.plans)
    warnings = [*notes, *header_doubts(image.geometry), *ranges, *map(str, prediction.removed)]
    return _row(predictor, case, prediction, image.spacing_mm, time.perf_counter() - start, warnings)


def map_files(
    predictor: ImagePredictor, case: InputCase, save_probabilities: bool, save_variance: bool
) -> dict[str | None, str]:
    """File name of each map to save: by output name for probabilities, by None for the variance."""
    ending = volume_ending(case.ending)
    names = output_names(predictor.plans) if save_probabilities else ()
    files: dict[str | None, str] = {name: f"{case.name}_probabilities_{_ODD.sub('_', name)}{ending}" for name in names}
    return files | ({None: f"{case.name}_variance{ending}"} if save_variance else {})


class PredictedCase(NamedTuple):
    """file: of the labels. seconds, quality: as in CaseResult."""

    file: Path
    seconds: float
    quality: dict[str, Any] | None


def predict_cases(
    predictor: ImagePredictor, cases: Sequence[Case], out_folder: Path, progress: Callable[[str], None] | None = None
) -> dict[str, PredictedCase]:
    """Predicts the cases of a dataset, such as a fold's validation cases, into `out_folder`, in order.

    Label files have the case's name, geometry and ending (JPEG .png, DICOM .nii.gz). `progress` is called with each
    case's name when done. Raises InputError naming the case.
    """
    results: dict[str, PredictedCase] = {}
    for case in cases:
        start = time.perf_counter()
        _check_header(predictor, case.images)
        image, notes = _read(predictor, case.images)
        for note in notes:
            log.warning("%s: %s", case.name, note)
        prediction = _predict(predictor, image, case.images)
        file = out_folder / f"{case.name}{output_ending(split_ending(case.images[0])[1])}"
        write_labels(file, prediction.labels, image.geometry)
        results[case.name] = PredictedCase(file, time.perf_counter() - start, _summary_scores(prediction))
        if progress:
            progress(case.name)
    return results


def _check_header(predictor: ImagePredictor, files: Sequence[Path]) -> None:
    """Raises InputError for an image that does not fit, where a header says so without the voxels."""
    endings = {split_ending(file)[1] for file in files}
    if endings & set(PICTURES) or not endings < set(SUPPORTED) - {DICOM}:
        return
    header = read_header(files)
    try:
        predictor.check_header(header.channels, header.shape, header.spacing_mm, unit_of(header.geometry))
    except InputError as error:
        raise error.at(_listed(files)) from error


def _listed(files: Sequence[Path]) -> str:
    """Some files of one image, for messages."""
    return ", ".join(str(file) for file in files[:4])


def _read(predictor: ImagePredictor, files: Sequence[Path]) -> tuple[Image, list[str]]:
    """The image, a picture in grey or colour as the model was trained on; and what was done to it."""
    image, names = read_image(files), predictor.plans.channel_names
    found = image.array.shape[0]
    if len(files) > 1 or split_ending(files[0])[1] not in PICTURES:
        return image, []
    if found == 3 and len(names) == 1:
        lost = float(np.ptp(image.array, axis=0).max())
        note = f": its colours, which differ by up to {lost:g}, are lost" if lost else ""
        return replace(image, array=to_grey(image.array)), [f"stored in colour, read as grey{note}"]
    if found == 1 and is_colour(names):
        return replace(image, array=np.repeat(image.array, 3, axis=0)), ["stored in grey, read as colour"]
    return image, []


def _predict(predictor: ImagePredictor, image: Image, files: Sequence[Path], with_variance: bool = False) -> Prediction:
    try:
        return predictor.predict(image.array, image.spacing_mm, with_variance)
    except InputError as error:
        raise error.at(_listed(files)) from error


def _summary_scores(prediction: Prediction) -> dict[str, Any] | None:
    if not prediction.quality:
        return None
    return {"score": {name: score if math.isfinite(score) else None for name, score in prediction.quality.items()}}


def _row(
    predictor: ImagePredictor,
    case: InputCase,
    prediction: Prediction,
    spacing_mm: tuple[float, ...],
    seconds: float,
    warnings: list[str],
) -> Row:
    plans = predictor.plans
    validation = predictor.standing.validation
    row = {"case": case.name, "file": case.output, "flag": prediction.flag, "reason": prediction.reason}
    row |= {"validation_dice": f"{validation.dice:.4f}" if validation else "", "seconds": f"{seconds:.2f}"}
    for name, score in prediction.quality.items():
        row[f"quality_{name}"] = f"{score:.4f}" if math.isfinite(score) else ""
    voxel = math.prod(spacing_mm) if plans.spacing_known else 1.0
    for name, mask in plans.labels.masks(prediction.labels):
        row[f"{volume_unit(plans)}_{name}"] = f"{np.count_nonzero(mask) * voxel:.6g}"
    return row | {"warnings": "; ".join(warnings), "made_with": predictor.describe()}
