"""Writes bundles (docs/reference/bundle.md): the same bytes for the same model."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from .. import __version__
from ..inference.bundle_model import (
    CARD,
    DESCRIPTION,
    GRAPH,
    MODEL,
    PLANS,
    POSTPROCESSING,
    QUALITY,
    README,
    BundleModel,
    weights_member,
)
from ..inference.calibration import validated_folds
from ..inference.folder_model import FolderModel
from ..plans.model_plans import NCAPlan
from ..plans.plans import Plans
from ..results.fold_folder import FoldName
from ..results.model_card import Card
from ..results.model_folder import ModelRecord, QualityRecord
from ..results.postprocessing import Postprocessing
from ..runtime.bundle import FORMAT, MANIFEST, Manifest, Member, is_bundle
from ..runtime.errors import InputError
from ..runtime.files import json_text, replacing
from .card_text import card_page
from .half_precision import float16_file
from .onnx_description import describe_graph
from .onnx_graph import prediction_graph

WeightsKind = Literal["float32", "float16"]

_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can have
_PLAIN_FILE = 0o100644 << 16
_UNIX = 3


def write_bundle(
    model: FolderModel, folds: Sequence[FoldName], weights: WeightsKind, card: Card, out: Path
) -> BundleModel:
    """Writes the bundle of some folds of a model, whole or not at all, and reads it again.

    Raises InputError for folds of other plans, and for a file at `out` that is no bundle: it is not overwritten.
    """
    check_free(out)
    contents = _contents(model, folds, weights, card)
    manifest = Manifest(FORMAT, _sums(contents), f"mednca_pipeline {__version__}", weights)
    members = {MANIFEST: json_text(manifest).encode(), **dict(sorted(contents.items()))}
    with replacing(out, durable=True) as temporary:
        with ZipFile(temporary, "w") as archive:
            for name, content in members.items():
                archive.writestr(_info(name), content, ZIP_DEFLATED, compresslevel=9)
    return BundleModel.open(out)


def check_free(out: Path) -> None:
    """Raises InputError when something else than a bundle is at `out`."""
    if os.path.lexists(out) and not (out.is_file() and is_bundle(out)):
        found = "a folder" if out.is_dir() else "a file of something else"
        raise InputError(f"-o {out}", "a new file, or a bundle to replace", found, "Give another name.")


def prediction_plans(plans: Plans, config: str, model: str) -> Plans:
    """What prediction needs: one configuration with one model, and no reasons."""
    chosen = plans.config(config)
    only = replace(chosen, models={model: chosen.model(model)})
    return replace(plans, default_config=chosen.name, configs={chosen.name: only}, decisions=(), overrides={})


def _contents(model: FolderModel, folds: Sequence[FoldName], weights: WeightsKind, card: Card) -> dict[str, bytes]:
    plans = prediction_plans(model.plans, model.config, model.model)
    standing = model.standing()
    numbers = tuple(int(fold.name) for fold in validated_folds(model.folder))
    chosen = model.folder.postprocessing(model.digest) or Postprocessing(model.components(), {}, (), model.digest)
    records = {
        MODEL: ModelRecord(plans.dataset, model.model, model.config),
        PLANS: plans,
        QUALITY: QualityRecord(model.digest, numbers, standing.threshold, standing.validation),
        POSTPROCESSING: replace(chosen, metrics={}, raw_sha256=""),  # metrics are of cases, by their names
        CARD: card,
    }
    made = {name: json_text(record).encode() for name, record in records.items()}
    for fold in folds:
        read = model.weights(fold)
        same = model.folder.fold(fold).weights.read_bytes() if weights == "float32" else float16_file(read)
        made[weights_member(fold)] = same
    if isinstance(plans.config().model(model.model), NCAPlan):
        made[GRAPH] = prediction_graph(plans, model.config, model.model)
        made[DESCRIPTION] = json_text(describe_graph(plans, model.config, model.model, model.components())).encode()
    made[README] = card_page(model, card, folds, half=weights == "float16").encode()
    return made


def _sums(contents: Mapping[str, bytes]) -> dict[str, Member]:
    return {name: Member(len(made), hashlib.sha256(made).hexdigest()) for name, made in contents.items()}


def _info(name: str) -> ZipInfo:
    """Of a member: nothing that differs between times, users and systems."""
    info = ZipInfo(name, _TIME)
    info.create_system, info.external_attr = _UNIX, _PLAIN_FILE
    return info
