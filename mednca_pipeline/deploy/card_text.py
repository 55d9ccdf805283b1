"""The model card in words: lines for the terminal, and the page README.md of a bundle."""

import math
from collections.abc import Iterable, Sequence

from ..inference.trained_model import TrainedModel
from ..plans.plans import Plans, describe_components
from ..results.fold_folder import FoldName
from ..results.model_card import Card, Measures
from ..runtime.labels import Labels
from ..runtime.quality import FOREGROUND, PROVEN_DICE

Lines = list[tuple[str, str]]

NOT_FOR_CLINICAL_USE = "Research software, not for clinical use: do not use it for diagnosis or treatment."
HALF = "Weights are stored as float16, with 8 of its 10 bits of mantissa, and computed with as float32."
_DIGITS = {"dice": 3, "hd95": 2, "nsd": 3}


def model_lines(model: TrainedModel, card: Card, folds: Sequence[FoldName]) -> Lines:
    """(subject, sentence) for what a user of the model must know. folds: those that it predicts with."""
    plans = model.plans
    many = len(folds) > 1
    standing = model.standing()
    names = f"{'folds' if many else 'fold'} {' '.join(map(str, folds))}{', averaged' if many else ''}"
    lines = [
        ("model", f"{model.model} in {model.config} of {plans.dataset}; {names}"),
        ("images", _images(plans)),
        ("classes", _classes(plans.labels)),
        ("network", f"{card.parameters:,} weights in each fold"),
        ("data", _data(card)),
        ("licence", card.data.licence or "of the data: not stated"),
        ("training", _training(card)),
    ]
    if card.measures:
        lines.append(("validation", _validation(card.measures)))
        lines += [
            ("", f"{row[0]}: Dice {row[1]}, HD95 {row[2]}, NSD {row[3]}")
            for row in measure_rows(card.measures, plans.labels)
        ]
    else:
        lines.append(("validation", "none: nobody has measured how good this model is"))
    if standing.threshold:
        threshold = standing.threshold
        lines.append(("review", f"asked for above a quality score of {threshold.value:.4f} ({threshold.rule})"))
    if standing.validation and standing.validation.dice < PROVEN_DICE:
        lines.append(("", f"and of every case: the mean Dice in validation is below {PROVEN_DICE:g}"))
    lines.append(("keeps", describe_components(model.components()) or "all components"))
    lines.append(("seen", _seen(plans)))
    return lines


def measure_rows(measures: Measures, labels: Labels) -> list[tuple[str, str, str, str]]:
    """(class, Dice, HD95, NSD) as mean ± sd, the foreground as a whole first."""
    rows = []
    for name in (name for name in (FOREGROUND, *labels.names) if name in measures.mean):
        dice, hd95, nsd = (_spread(measures.mean[name], measures.sd[name], metric) for metric in _DIGITS)
        rows.append((name, dice, hd95, nsd))
    return rows


def card_page(model: TrainedModel, card: Card, folds: Sequence[FoldName], half: bool) -> str:
    """README.md. half: whether the weights are stored in half precision."""
    measures = (
        _measures_table(card.measures, model.plans.labels)
        if card.measures
        else "Not validated: nobody has measured this model."
    )
    facts = [line for line in model_lines(model, card, folds) if line[0] and line[0] != "validation"]
    return f"""# {model.plans.dataset}: {model.model} in {model.config}

{NOT_FOR_CLINICAL_USE}

This bundle holds a segmentation model of mednca_pipeline, whose light installation uses it:

```
mednca_predict -m FILE.mednca -i IMAGES -o OUT
```

{_table(("", ""), facts)}

## Validation

{measures}

## Limits

{_bullets(_limits(model, card, half))}
"""


def _limits(model: TrainedModel, card: Card, half: bool) -> Iterable[str]:
    measured = "The figures above are of cases of the training data's own kind and sources. "
    yield (measured if card.measures else "") + "Other scanners, protocols, ages and diseases were not tested."
    yield "The quality score finds many poor segmentations, not all. Look at the results."
    if model.plans.configs[model.config].models[model.model].training.at_outline:
        yield "A structure that is not seen at a low resolution, such as a very small one, is not found."
    yield "Images that differ from the training's in spacing, extent or intensity get a warning in quality.csv."
    if half:
        yield HALF


def _images(plans: Plans) -> str:
    kind = "pictures" if len(plans.training_range.extent_mm) == 2 else "volumes"
    return f"{kind} of {len(plans.channel_names)} channel{'s' * (len(plans.channel_names) > 1)}: " + ", ".join(
        plans.channel_names
    )


def _classes(labels: Labels) -> str:
    named = zip(labels.names, labels.values, strict=True)
    return ", ".join(f"{name} ({' or '.join(map(str, values))})" for name, values in named)


def _data(card: Card) -> str:
    data = card.data
    cases = _cases(data.cases) if data.cases is not None else ""
    return "; ".join(filter(None, (data.description.rstrip("."), cases, data.reference))) or "not described"


def _training(card: Card) -> str:
    facts = list(card.folds.values())
    iterations = sorted({each.iterations for each in facts if each.iterations})
    minutes = sorted({round(each.minutes) for each in facts if each.minutes})
    commits = dict.fromkeys(each.commit for each in facts if each.commit)
    versions = dict.fromkeys(f"{name} {text}" for each in facts for name, text in each.versions.items())
    parts = [
        f"{_range(iterations)} iterations in each fold" if iterations else "",
        f"{_range(minutes)} min" if minutes else "",
        f"commit {', '.join(commits)}" if commits else "",
        ", ".join(versions),
    ]
    return "; ".join(filter(None, parts)) or "not recorded"


def _seen(plans: Plans) -> str:
    """The ranges outside of which an image gets a warning."""
    seen, unit = plans.training_range, "mm" if plans.spacing_known else "voxels"
    axes = "zyx"[-len(seen.extent_mm) :]
    known = f"spacing {_between(seen.spacing_mm)} mm, " if plans.spacing_known else ""
    return f"in training: {known}extent {_between(seen.extent_mm)} {unit} ({' '.join(axes)})"


def _between(ranges: Sequence[tuple[float, float]]) -> str:
    """ "1 x 0.5-0.8 x 0.5-0.8"."""
    each = ([f"{low:.3g}", f"{high:.3g}"] for low, high in ranges)
    return " x ".join("-".join(dict.fromkeys(ends)) for ends in each)


def _range(values: Sequence[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def _cases(count: int) -> str:
    return f"{count} case{'s' * (count != 1)}"


def _spread(mean: dict[str, float], sd: dict[str, float], metric: str) -> str:
    value, digits = mean.get(metric, math.nan), _DIGITS[metric]
    return "–" if math.isnan(value) else f"{value:.{digits}f} ± {sd.get(metric, math.nan):.{digits}f}"


def _measures_table(measures: Measures, labels: Labels) -> str:
    table = _table(("class", "Dice", "HD95", "NSD"), measure_rows(measures, labels))
    return f"{_validation(measures)}.\n\n{table}"


def _validation(measures: Measures) -> str:
    unit = measures.units.distance
    units = f"HD95 in {unit}, NSD at {measures.units.nsd_tolerance:g} {unit}"
    return f"{_cases(measures.cases)} that their fold's network had not seen; mean ± sd; {units}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
