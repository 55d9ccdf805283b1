"""card.json of a bundle: what a person must know of a model. Nothing in it names a case, a person or a machine."""

from dataclasses import dataclass, field
from typing import Any

from ..runtime.errors import InputError
from ..runtime.names import check_text
from ..runtime.records import Index, Name, from_dict
from .summary import Metrics, SummaryUnits, undefined_as_nan

SCHEMA = 1


@dataclass(frozen=True)
class DataFacts:
    """Of the dataset: what its dataset.json says, "" where it does not. cases: that have labels; None: not known."""

    description: str = ""
    licence: str = ""
    reference: str = ""
    cases: Index | None = None

    def __post_init__(self) -> None:
        for name in ("description", "licence", "reference"):
            check_text(name, getattr(self, name))


@dataclass(frozen=True)
class FoldFacts:
    """How a fold was trained, as its run.json says. validation_cases: 0 if it was not validated."""

    validation_cases: Index
    iterations: Index | None = None
    minutes: float | None = None
    seed: int | None = None
    commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measures:
    """Mean and sd over the validation cases of all folds, per class or "foreground" and metric."""

    cases: Index
    mean: Metrics
    sd: Metrics
    units: SummaryUnits


@dataclass(frozen=True)
class Card:
    """parameters: of one fold. folds: by their names. measures: None without a validated case."""

    data: DataFacts
    folds: dict[Name, FoldFacts]
    parameters: Index
    measures: Measures | None = None
    schema: int = SCHEMA


def card_from(values: Any, source: str) -> Card:
    """The card that a card.json holds. source: its place, for messages. Raises InputError."""
    measures = values.get("measures") if isinstance(values, dict) else None
    if isinstance(measures, dict):
        means = {name: undefined_as_nan(measures[name]) for name in ("mean", "sd") if name in measures}
        values = {**values, "measures": {**measures, **means}}
    card = from_dict(Card, values, source)
    if card.measures and not set(card.measures.mean) == set(card.measures.sd):
        found = ", ".join(sorted(set(card.measures.mean) ^ set(card.measures.sd)))
        raise InputError(f"{source}: measures", "mean and sd of the same classes", found)
    return card
