"""The files of a comparison: what is in them and where it comes from."""

import csv

from mednca_pipeline.crossval.collect import collect_results
from mednca_pipeline.crossval.comparison_files import write_comparison
from mednca_pipeline.runtime.files import read_json, write_json

from .made_results import SPLITS, fold


def test_files_say_what_is_in_them_and_where_it_comes_from(results):
    fold(results, "mednca_2d", 2, {"g": 0.8})
    files = write_comparison(
        results, "Dataset004_Hippocampus", collect_results(results, SPLITS[:3]), "mednca_crossval 4 --folds 0 1"
    )
    assert [file.name for file in files] == [
        "comparison.csv", "comparison_pairs.csv", "comparison.md", "comparison.png",
    ]  # fmt: skip
    with files[0].open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["model"], row["class"], row["cases"]) for row in rows[1:4]] == [
        ("mednca_2d", "organ", "7"), ("mednca_2d", "foreground", "7"), ("unet_small_2d", "lesion", "6"),
    ]  # fmt: skip
    assert rows[3]["missing_folds"] == "2"
    text = files[2].read_text(encoding="utf-8")
    for part in (
        "unet_small_2d is incomplete", "mednca_crossval 4 --folds 0 1", "Commit", "seed 7", "cores", "100 iterations",
        "| mednca_2d | 25,000 | 100 | 11 min | 0.50 | 3 |", "0 / 5 / 1", "Empty in one of the two: Dice 0",
    ):  # fmt: skip
        assert part in text, part
    assert "Warning" not in text
    assert files[3].read_bytes().startswith(b"\x89PNG")


def test_a_short_training_is_warned_of_first_and_has_no_p(results):
    for number in (0, 1):
        file = results / "unet_small_2d" / f"fold_{number}" / "run.json"
        write_json(file, {**read_json(file), "planned_iterations": 8000})
    files = write_comparison(results, "Dataset004_Hippocampus", collect_results(results, SPLITS[:2]), "c")
    text = files[2].read_text(encoding="utf-8")
    assert text.index("**Warning:** unet_small_2d got 1 % of its planned schedule") < text.index("## Accuracy")
    assert "| 100 of 8,000 (1 %) |" in text and "| 0 / 5 / 1 | – | – |" in text
    with files[1].open(encoding="utf-8") as stream:
        assert {(row["p_wilcoxon"], row["p_holm"]) for row in csv.DictReader(stream)} == {("", "")}
