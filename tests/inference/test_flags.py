"""The flags of a prediction on the console."""

from mednca_pipeline.inference.flags import flag_lines
from mednca_pipeline.runtime.quality import Standing, Threshold, Validation

THRESHOLD = Threshold(0.125, "by hand")


def test_flags_are_counted_and_what_to_review_is_named():
    flags = {"a": "review", "b": "ok", "c": "ok", "d": "empty", "e": "ok", "f": "ok"}
    assert flag_lines(flags, Standing(Validation(0.9, 40), THRESHOLD)) == [
        "Flags: 4 ok, 2 to review: a, d (empty).",
        "ok: a quality score of at most 0.1250; review: a larger one (by hand).",
        "The model's mean foreground Dice in validation: 0.900 (40 cases).",
    ]


def test_a_bad_model_says_why_nothing_is_ok():
    flags = {"a": "unproven", "b": "review", "c": "unproven"}
    counted, ok, unproven, model = flag_lines(flags, Standing(Validation(0.2, 6), THRESHOLD))
    assert counted == "Flags: 2 unproven, 1 to review: b."
    assert "no case is ok with a model whose validation Dice is below 0.7" in unproven
    assert model == "The model's mean foreground Dice in validation: 0.200 (6 cases)."


def test_a_model_without_validation_says_so():
    counted, meaning, model = flag_lines({"a": "uncalibrated"}, Standing())
    assert counted == "Flags: 1 uncalibrated." and "no validated fold" in meaning and "never validated" in model
    assert "UNet" in flag_lines({"a": "not available"}, Standing(Validation(0.9, 1)))[1]
    assert flag_lines({}, Standing()) == []
