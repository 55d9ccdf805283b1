"""The flags of a prediction, counted, with what they mean and what to look at."""

from collections import Counter
from collections.abc import Mapping

from ..runtime.listing import listed
from ..runtime.quality import PROVEN_DICE, Standing

NAMED = 10  # cases to look at that a line names
TO_REVIEW = ("review", "empty")


def flag_lines(flags: Mapping[str, str], standing: Standing) -> list[str]:
    """Sentences for the console. flags: of each case, by its name. standing: of the model that predicted them."""
    if not flags:
        return []
    return [_counted(flags), *_meanings(set(flags.values()), standing), _validated(standing)]


def _counted(flags: Mapping[str, str]) -> str:
    """Such as "Flags: 4 ok, 2 to review: a, b (empty)."."""
    counts = Counter(flags.values())
    names = [f"{name} (empty)" if flag == "empty" else name for name, flag in flags.items() if flag in TO_REVIEW]
    parts = [f"{count} {flag}" for flag, count in counts.items() if flag not in TO_REVIEW]
    parts = sorted(parts, key=lambda part: not part.endswith(" ok"))
    if names:
        parts.append(f"{len(names)} to review: {listed(names, NAMED)}")
    return f"Flags: {', '.join(parts)}."


def _meanings(present: set[str], standing: Standing) -> list[str]:
    """What the flags in question mean with this model."""
    threshold, lines = standing.threshold, []
    if threshold and present & {"ok", "review"}:
        lines.append(f"ok: a quality score of at most {threshold.value:.4f}; review: a larger one ({threshold.rule}).")
    if "unproven" in present:
        lines.append(
            f"unproven: the score is no reason for a review, but no case is ok with a model whose validation Dice is "
            f"below {PROVEN_DICE:g}. Look at each."
        )
    if "uncalibrated" in present:
        lines.append("uncalibrated: no validated fold says what the score of this model means. Look at each.")
    if "not available" in present:
        lines.append("not available: no quality score (--no-quality, --fast, or a model without one, such as a UNet).")
    return lines


def _validated(standing: Standing) -> str:
    validation = standing.validation
    if validation is None:
        return "The model was never validated: train and validate a numbered fold to know how good it is."
    cases = f"{validation.cases} case{'s' * (validation.cases != 1)}"
    return f"The model's mean foreground Dice in validation: {validation.dice:.3f} ({cases})."
