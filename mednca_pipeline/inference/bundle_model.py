"""A trained model in a bundle (runtime.bundle, docs/reference/bundle.md)."""

from dataclasses import dataclass
from pathlib import Path

from ..models.registry import model_named, plans_from
from ..plans.plans import Plans
from ..results.fold_folder import FoldName, fold_name
from ..results.model_card import SCHEMA as CARD_SCHEMA
from ..results.model_card import Card, card_from
from ..results.model_folder import QUALITY_SCHEMA, ModelFolder, ModelRecord, QualityRecord
from ..results.model_folder import SCHEMA as MODEL_SCHEMA
from ..results.postprocessing import SCHEMA as POSTPROCESSING_SCHEMA
from ..results.postprocessing import Postprocessing
from ..runtime.bundle import WEIGHTS, Bundle, open_bundle
from ..runtime.errors import InputError
from ..runtime.quality import Standing
from ..runtime.records import from_dict
from ..runtime.weights import FoldWeights, parse_weights

NAMES = ModelFolder(Path())  # what a model's folder has, has the same name in a bundle
MODEL, PLANS = NAMES.record_file.name, NAMES.plans_file.name
QUALITY, POSTPROCESSING = NAMES.quality_file.name, NAMES.postprocessing_file.name
CARD, README = "card.json", "README.md"
GRAPH, DESCRIPTION = "network.onnx", "network.json"  # where the model is a Med-NCA
_REMEDY = "Export it again."


@dataclass(frozen=True)
class BundleModel:
    """All members but the weights are read and checked when the bundle is opened."""

    bundle: Bundle
    record: ModelRecord
    plans: Plans
    quality: QualityRecord
    postprocessing: Postprocessing
    card: Card
    folds: tuple[FoldName, ...]

    @classmethod
    def open(cls, path: Path) -> "BundleModel":
        """Raises InputError for a file that is no bundle, is damaged, or has parts that do not belong together."""
        bundle = open_bundle(path)
        record = from_dict(ModelRecord, bundle.json(MODEL, MODEL_SCHEMA), bundle.place(MODEL))
        model_named(record.model)
        plans = plans_from(bundle.json(PLANS), bundle.place(PLANS))
        plans.config(record.config).model(record.model)
        quality = from_dict(QualityRecord, bundle.json(QUALITY, QUALITY_SCHEMA), bundle.place(QUALITY))
        stored = bundle.json(POSTPROCESSING, POSTPROCESSING_SCHEMA)
        postprocessing = from_dict(Postprocessing, stored, bundle.place(POSTPROCESSING))
        card = card_from(bundle.json(CARD, CARD_SCHEMA), bundle.place(CARD))
        made = cls(bundle, record, plans, quality, postprocessing, card, _folds(bundle))
        made._check()
        return made

    @property
    def path(self) -> Path:
        return self.bundle.path

    @property
    def model(self) -> str:
        return self.record.model

    @property
    def config(self) -> str:
        return self.record.config

    def trained_folds(self) -> tuple[FoldName, ...]:
        return self.folds

    def weights(self, fold: FoldName) -> FoldWeights:
        name = weights_member(fold)
        return parse_weights(self.bundle.read(name), self.bundle.place(name))

    def weights_sha256(self, fold: FoldName) -> str:
        return self.bundle.manifest.members[weights_member(fold)].sha256

    def standing(self) -> Standing:
        return Standing(self.quality.validation, self.quality.threshold)

    def components(self) -> dict[str, int]:
        return self.postprocessing.components

    def _check(self) -> None:
        digest = self.plans.digest(self.config, self.model)
        for name, found in ((QUALITY, self.quality.digest), (POSTPROCESSING, self.postprocessing.digest)):
            if found != digest:
                raise InputError(self.bundle.place(name), f"the digest {digest} of the plans", str(found), _REMEDY)
        names = set(self.plans.labels.names)
        if strange := set(self.postprocessing.components) - names:
            expected = f"classes of {', '.join(sorted(names))}"
            raise InputError(self.bundle.place(POSTPROCESSING), expected, ", ".join(sorted(strange)), _REMEDY)
        if set(self.card.folds) != set(map(str, self.folds)):
            expected = f"the folds {', '.join(map(str, self.folds))}, as there are weights of"
            raise InputError(self.bundle.place(CARD), expected, ", ".join(self.card.folds) or "none", _REMEDY)


def weights_member(fold: FoldName) -> str:
    return NAMES.fold(fold).weights.as_posix()


def _folds(bundle: Bundle) -> tuple[FoldName, ...]:
    """Numbers in order, then "all". Raises InputError where there are none."""
    members = sorted(name for name in bundle.manifest.members if name.endswith(WEIGHTS))
    folds = [fold_name(name.partition("/")[0]) for name in members]
    if not folds or sorted(map(weights_member, folds)) != members:
        expected = f"the weights of at least one fold, such as {weights_member(0)}"
        raise InputError(bundle.path, expected, ", ".join(members) or "none", _REMEDY)
    return tuple(sorted(folds, key=lambda fold: (isinstance(fold, str), fold)))
