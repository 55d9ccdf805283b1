"""The facts of a model card, and how they are told."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.deploy.card import data_facts, facts_of_dataset, make_card
from mednca_pipeline.deploy.card_text import HALF, card_page, measure_rows, model_lines
from mednca_pipeline.plans.plans import Plans
from mednca_pipeline.results.model_card import Card, DataFacts, card_from
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.files import json_text
from mednca_pipeline.workspace import Workspace

from ..inference.tiny_model import make_image, make_plans, two_dimensional, with_regions, write_image
from .models import validated_model


def dataset(folder, **said):
    for case, label in (("a", True), ("b", True), ("c", False)):
        write_image(folder / "imagesTr" / f"{case}_0000.nii.gz", make_image())
        if label:
            write_image(folder / "labelsTr" / f"{case}.nii.gz", np.ones((5, 14, 11), np.uint8))
    labels = {"background": 0, "blob": 1}
    described = {"channel_names": {"0": "MRI"}, "labels": labels, "file_ending": ".nii.gz", "numTraining": 2, **said}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def test_facts_of_a_dataset(tmp_path):
    said = {"description": "Two  blobs\n", "license": "CC0", "reference": ["x"], "training": ["doe_jane"]}
    raw = dataset(tmp_path / "raw" / "Dataset004_Tiny", **said)
    assert data_facts(raw) == DataFacts("Two blobs", "CC0", "", 2)
    assert facts_of_dataset(Workspace(tmp_path), "Dataset004_Tiny").cases == 2
    assert facts_of_dataset(Workspace(tmp_path), "Dataset005_Gone") == DataFacts()
    long = dataset(tmp_path / "raw" / "Dataset006_Long", licence="x\x1b[2J" + "y" * 9000)
    assert data_facts(long).licence.startswith("x\\x1b[2Jy") and len(data_facts(long).licence) < 600


def test_facts_of_folds_and_their_means(tmp_path):
    model = validated_model(tmp_path, folds=(0, 1, "all"))
    card = make_card(model, (0, 1, "all"), DataFacts())
    assert list(card.folds) == ["0", "1", "all"]
    first = card.folds["0"]
    assert (first.validation_cases, first.iterations, first.minutes, first.seed) == (3, 2000, 12.3, 3)
    assert first.versions == {"torch": "2.13.0", "numpy": "2.4.6"} and card.folds["all"].validation_cases == 0
    assert card.parameters == sum(array.size for array in model.weights(0).arrays.values())
    assert card.measures.cases == 6 and card.measures.mean["anterior"]["dice"] == pytest.approx(0.85)
    assert card.measures.sd["anterior"]["dice"] == pytest.approx(np.std([0.8, 0.85, 0.9] * 2, ddof=1))
    assert make_card(model, ("all",), DataFacts()).measures is None


def test_a_card_survives_its_file(tmp_path):
    card = make_card(validated_model(tmp_path), (0, 1), DataFacts("x", "CC0", "y", 3))
    nan = replace(card.measures, mean={**card.measures.mean, "anterior": {"dice": float("nan"), "hd95": 1.0}})
    read = card_from(json.loads(json_text(replace(card, measures=nan))), "card.json")
    assert np.isnan(read.measures.mean["anterior"]["dice"])
    assert card_from(json.loads(json_text(card)), "card.json") == card
    with pytest.raises(InputError, match="card.json: folds"):
        card_from({**json.loads(json_text(card)), "folds": {"../x": {}}}, "card.json")


def lines_of(model, card: Card, folds=(0, 1)) -> dict[str, str]:
    return {subject: sentence for subject, sentence in model_lines(model, card, folds) if subject}


def told(tmp_path, plans: Plans, **facts):
    model = validated_model(tmp_path, plans)
    return lines_of(model, make_card(model, (0, 1), DataFacts(**facts)))


def test_lines_tell_what_a_user_must_know(tmp_path):
    lines = told(tmp_path, make_plans(), description="Blobs.", licence="CC0", reference="Nobody 2026", cases=1)
    assert lines["model"] == "mednca in 2d of Dataset004_Tiny; folds 0 1, averaged"
    assert lines["images"] == "volumes of 1 channel: channel0"
    assert lines["classes"] == "anterior (1), posterior (2)"
    assert lines["data"] == "Blobs; 1 case; Nobody 2026" and lines["licence"] == "CC0"
    assert lines["training"].startswith("2,000 iterations in each fold; 12 min; commit 0123456789ab; ")
    assert lines["seen"] == "in training: spacing 2 x 1 x 1.5 mm, extent 8-12 x 10-20 x 12-20 mm (z y x)"
    assert lines["keeps"] == "2 components of anterior"
    assert lines["review"].startswith("asked for above a quality score of 0.3000")


def test_lines_of_pictures_and_regions(tmp_path):
    lines = told(tmp_path / "a", two_dimensional(make_plans(channels=2)))
    assert lines["images"] == "pictures of 2 channels: channel0, channel1" and "spacing" not in lines["seen"]
    assert told(tmp_path / "b", with_regions(make_plans()))["classes"] == "whole (1 or 2), posterior (2)"


def test_a_model_that_nobody_measured_says_so(tmp_path):
    model = validated_model(tmp_path, folds=("all",))
    lines = lines_of(model, make_card(model, ("all",), DataFacts()), ("all",))
    assert lines["model"].endswith("fold all") and lines["validation"].startswith("none:")
    assert "review" not in lines and lines["licence"] == "of the data: not stated"
    assert "nobody has measured" in card_page(model, make_card(model, ("all",), DataFacts()), ("all",), half=False)


def test_the_page_has_measures_limits_and_no_markup_of_others(tmp_path):
    model = validated_model(tmp_path)
    card = make_card(model, (0, 1), DataFacts(description="a | b"))
    page = card_page(model, card, (0, 1), half=True)
    assert page.startswith("# Dataset004_Tiny: mednca in 2d\n") and "not for clinical use" in page
    assert "| foreground | 0.850 ± 0.045 | 2.00 ± 0.00 | 0.900 ± 0.000 |" in page
    assert r"a \| b" in page and f"- {HALF}" in page and HALF not in card_page(model, card, (0, 1), half=False)
    rows = measure_rows(card.measures, model.plans.labels)
    assert [row[0] for row in rows] == ["foreground", "anterior", "posterior"]
