import pytest

from mednca_pipeline.evaluation.artefacts import ARTEFACTS
from mednca_pipeline.planning import augmentation
from mednca_pipeline.planning.augmentation import ARTEFACT_KINDS, artefact_kinds, mirror_axes, modality
from mednca_pipeline.planning.planner import make_plans

from .made_fingerprints import alike, hippocampus


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("MRI",), "MRI"),
        (("T2",), "MRI"),
        (("FLAIR", "T1w", "t1gd", "T2w"), "MRI"),
        (("T2", "ADC"), "MRI"),
        (("CT",), "CT"),
        (("ultrasound",), "ultrasound"),
        (("X-ray",), "X-ray"),
        (("xray",), "X-ray"),
        (("R", "G", "B"), "photograph"),
        (("rgb_to_0_1",), "photograph"),
        (("CT", "PET"), "unknown"),
        (("noNorm",), "unknown"),
        (("contrast",), "unknown"),  # holds "ct" and "t"
        (("thus",), "unknown"),
    ],
)
def test_modality_follows_the_channels_names(names, found):
    assert modality(names) == found


def test_kinds_exist_and_suit_the_modality():
    assert {kind for kinds in ARTEFACT_KINDS.values() for kind in kinds} <= set(ARTEFACTS)
    assert {"ghosts", "bias_field", "spikes"} <= set(artefact_kinds(["T2"]).value)
    for name in ("CT", "X-ray", "ultrasound"):
        assert not {"ghosts", "bias_field", "spikes"} & set(artefact_kinds([name]).value)
    assert artefact_kinds(["T2"]).because == "T2: artefacts of MRI images"


def test_mirroring_only_where_sides_carry_no_meaning():
    assert mirror_axes("RGB", 2).value == (0, 1)
    assert mirror_axes(["ultrasound"], 2).value == (1,)
    for name in ("MRI", "CT", "X-ray"):
        assert mirror_axes([name], 2).value == ()


def test_all_but_the_published_network_are_trained_with_them(monkeypatch):
    on = make_plans(hippocampus())
    monkeypatch.setattr(augmentation, "ARTEFACTS", 0.0)
    off = make_plans(hippocampus())
    assert (
        off.config("2d").models["mednca"].training.artefacts,
        off.config("2d").models["mednca"].training.artefact_kinds,
    ) == (0.0, ())
    for name in ("mednca", "unet", "unet_small"):
        training = on.config("2d").model(name).training
        assert (training.artefacts, training.artefact_kinds) == (0.15, ARTEFACT_KINDS["MRI"])
        assert on.digest("2d", name) != off.digest("2d", name)
    assert on.config("2d").models["mednca_paper"] == off.config("2d").models["mednca_paper"]
    (row,) = [row for row in on.decisions if row.name == "artefacts" and row.config == "2d"]
    assert row.value == "in 15% of the samples: noise, blur, low resolution, gamma, bias field, ghosts, spikes"
    assert row.because == "MRI: artefacts of MRI images"


def test_planner_mirrors_ultrasound_and_says_why(monkeypatch):
    images = alike((64, 64), {"lesion": (20, 20)}, channel_names=("ultrasound",))
    assert make_plans(images).config().models["mednca"].training.mirror_axes == ()
    monkeypatch.setattr(augmentation, "MIRRORED", True)
    plans = make_plans(images)
    assert (
        plans.config().models["mednca"].training.mirror_axes
        == plans.config().models["unet"].training.mirror_axes
        == (1,)
    )
    rows = {row.name: row for row in plans.decisions}
    assert rows["mirrored"].because.startswith("a probe may be held either way round")
    assert "not mirrored" not in rows["training"].value
