import math
from dataclasses import replace

import pytest

from mednca_pipeline.models.nca_cost import parameters
from mednca_pipeline.models.registry import MODELS, read_plans
from mednca_pipeline.planning.nca_plans import channels, hidden_units
from mednca_pipeline.planning.planner import make_plans
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.runtime.errors import InputError

from .made_fingerprints import alike, hippocampus, make_case, make_fingerprint


def check_valid(plans):
    """What training relies on, whatever the data."""
    for config in plans.configs.values():
        assert len(config.image_size) == config.dim
        for nca in (config.models["mednca"], config.models["mednca_paper"]):
            coarsest = nca.levels[0].factor
            assert nca.levels[-1].factor == (1,) * config.dim
            assert all(size % factor == 0 for size, factor in zip(config.image_size, coarsest, strict=True))
            for outer, inner in zip(nca.levels, nca.levels[1:], strict=False):
                assert all(o % i == 0 for o, i in zip(outer.factor, inner.factor, strict=True))
            for level in nca.levels:
                sides = zip(level.patch or (), level.factor, config.image_size, coarsest, strict=bool(level.patch))
                assert all(p * f <= size and p * f % c == 0 for p, f, size, c in sides)
            assert nca.training.batch_size >= 1
            assert nca.channels > len(plans.channel_names) + plans.labels.n_outputs
        for unet in (config.models["unet"], config.models["unet_small"]):
            assert len(unet.features) == len(unet.strides) == len(unet.kernel_sizes) >= 3
            total = [math.prod(column) for column in zip(*unet.strides, strict=True)]
            assert all(side % stride == 0 for side, stride in zip(unet.patch, total, strict=True))


def decision(plans, config, name):
    return next(made for made in plans.decisions if (made.config, made.name) == (config, name))


def test_hippocampus_gets_the_plan_that_the_findings_ask_for():
    plans = make_plans(hippocampus())
    config = plans.config()
    assert config.name == "2d"
    assert config.preprocessing.axis_order == (0, 1, 2)
    assert config.preprocessing.spacing_mm == (None, 1.0, 1.0)
    assert config.image_size == (56, 40)
    levels = config.models["mednca"].levels
    assert [level.factor for level in levels] == [(4, 4), (2, 2), (1, 1)]
    assert [level.steps for level in levels] == [10, 6, 4]
    assert [level.patch for level in levels] == [None, None, (24, 24)]
    assert (config.models["mednca"].channels, config.models["mednca"].hidden) == (15, 64)
    assert config.models["mednca"].training.batch_size == 8
    assert parameters(config.models["mednca"], 2, 1) <= 35_000
    assert "GFLOP" in plans.decisions[0].because
    assert all(config.model(model).training.minutes["cpu"] <= 30 for model in MODELS)
    check_valid(plans)


def test_paper_network_is_the_published_one():
    paper = make_plans(hippocampus()).config("2d").models["mednca_paper"]
    assert parameters(paper, 2, 1) == 70_016
    assert [(level.factor, level.steps, level.patch) for level in paper.levels] == [
        ((4, 4), 16, None),
        ((1, 1), 16, (16, 12)),  # as many cells as the coarse grid of 14x10, in whole coarse cells
    ]
    assert (paper.fire_rate, paper.norm, paper.border, paper.perception) == (0.5, "none", "reflect", "paper")
    assert (paper.training.learning_rate, paper.training.betas) == (16e-4, (0.5, 0.5))
    assert paper.training.batch_size == 48


@pytest.mark.parametrize("model", ["mednca", "mednca_paper"])
def test_planned_parameters_are_those_of_the_built_network(model):
    from mednca_pipeline.models.registry import build_model, count_parameters

    plans = make_plans(hippocampus())
    for name, config in plans.configs.items():
        plan = config.model(model)
        seen = 2 * plan.adjacent_slices + 1
        assert parameters(plan, config.dim, seen) == count_parameters(build_model(model, plans, name))


def test_slices_are_seen_with_their_neighbours():
    near, far = make_plans(hippocampus()), make_plans(alike((20, 64, 64), {"a": (8, 20, 20)}, spacing=(5.0, 1.0, 1.0)))
    for plans, expected in ((near, 3), (far, 2)):
        config = plans.configs["2d"]
        assert [config.model(name).adjacent_slices for name in ("mednca", "unet", "unet_small")] == [expected] * 3
        assert config.models["mednca_paper"].adjacent_slices == 0  # as published
        assert plans.configs["3d"].models["mednca"].adjacent_slices == 0
    unknown = make_plans(alike((36, 55, 38), {"a": (12, 14, 19)}, spacing_known=False)).configs["2d"]
    picture = make_plans(alike((64, 64), {"a": (20, 20)})).config()
    assert unknown.models["mednca"].adjacent_slices == 2
    assert picture.models["mednca"].adjacent_slices == 0  # no volume, no neighbours


def test_plans_survive_their_file_and_are_the_same_again(tmp_path):
    plans = make_plans(hippocampus(), {"2d.steps": "12 6 4"})
    write_plans(tmp_path / "plans.json", plans)
    read = read_plans(tmp_path / "plans.json")
    assert read == plans
    assert make_plans(hippocampus(), read.overrides, read.memory_bytes) == read


def test_every_decision_has_a_reason():
    for made in make_plans(hippocampus()).decisions:
        assert made.value and made.because, made
        assert not made.by_user


def test_the_cell_and_its_training_are_among_the_decisions():
    plans = make_plans(hippocampus())
    mednca = plans.config("2d").models["mednca"]
    assert decision(plans, "2d", "cell").value == f"fire rate {mednca.fire_rate}, {mednca.norm} norm, edges repeated"
    assert (mednca.border, mednca.training.mirror_axes, mednca.training.augmentation) == ("replicate", (), 1.0)
    training = decision(plans, "2d", "training").value
    assert training.startswith(
        f"Muon at {mednca.training.learning_rate}, averaged weights (EMA {mednca.training.ema_decay})"
    )
    small = plans.config("2d").models["unet_small"].training
    batch_and_rate = f"batch {small.batch_size}, Adam at {small.learning_rate}"
    assert batch_and_rate in decision(plans, "2d", "unet_small").value


def test_overrides_are_kept_and_marked_as_the_users():
    user = {
        "2d.levels": "2 1",
        "2d.steps": "9 5",
        "2d.spacing": "2",
        "2d.patch": "16",
        "2d.channels": "24",
    }
    plans = make_plans(hippocampus(), user)
    config = plans.config("2d")
    assert [(level.factor, level.steps) for level in config.models["mednca"].levels] == [((2, 2), 9), ((1, 1), 5)]
    assert config.models["mednca"].levels[-1].patch == (16, 16)
    assert config.models["mednca"].channels == 24
    assert config.preprocessing.spacing_mm == (None, 2.0, 2.0)
    marked = {made.name for made in plans.decisions if made.by_user}
    assert marked == {"levels", "steps", "target spacing", "patch", "channels"}
    assert plans.overrides == user
    assert not any(made.by_user for made in plans.decisions if made.config == "3d")
    check_valid(plans)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"2d.steps": "8 4"}, "each of the 3 levels"),
        ({"2d.channels": "4"}, "hidden state"),
        ({"2d.patch": "30"}, "multiples"),
        ({"4d.steps": "8"}, "4d.steps"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(override, message):
    with pytest.raises(InputError, match=message):
        make_plans(hippocampus(), override)


def test_eight_pixel_lesion_in_2048_squared():
    plans = make_plans(alike((2048, 2048), {"lesion": (8, 8)}))
    check_valid(plans)
    config = plans.config()
    assert config.preprocessing.spacing_mm == (None, 1.0, 1.0)  # coarser would lose the lesion
    assert [level.factor[0] for level in config.models["mednca"].levels] == [
        16,
        8,
        4,
        2,
        1,
    ]  # half a cell, and 8 of the finest
    assert "would lose that structure" in decision(plans, "2d", "levels").because


def test_large_anisotropic_volumes():
    extents = {"organ": (6, 120, 120), "lesion": (2, 40, 40)}
    dice = {spacing: {"organ": 0.999, "lesion": 0.99} for spacing in (0.7071, 0.8409, 1.0, 1.189, 1.414, 1.682, 2.0)}
    ceilings = {"yx": dice, "zyx": dice}
    plans = make_plans(alike((20, 512, 512), extents, spacing=(7.0, 0.7, 0.7), ceilings=ceilings))
    check_valid(plans)
    slices, volume = plans.config("2d"), plans.config("3d")
    assert slices.preprocessing.axis_order == (0, 1, 2)
    assert slices.image_size == (192, 192)  # 512 * 0.7 / 2 = 179, in whole cells of /16
    assert volume.preprocessing.spacing_mm == (7.0, 2.0, 2.0)
    assert volume.image_size[1:] == (192, 192)
    assert [level.factor[0] for level in volume.models["mednca"].levels] == [
        4,
        2,
        1,
        1,
        1,
    ]  # 3.5 times coarser than in plane
    assert plans.default_config == "2d"


def test_class_absent_from_one_case_does_not_count_as_small():
    cases = [make_case(f"c{i}", (60, 60), {"a": (30, 30), "b": () if i == 0 else (24, 24)}) for i in range(5)]
    plans = make_plans(make_fingerprint(cases))
    check_valid(plans)
    assert plans.config().models["mednca"].levels[0].factor == (4, 4)
    assert "24x24" in decision(plans, "2d", "levels").because


def test_dataset_without_foreground_is_refused():
    with pytest.raises(InputError, match="expected labelled voxels of a"):
        make_plans(alike((60, 60), {"a": ()}))


def test_images_of_a_few_pixels_and_slices():
    fingerprints = (
        alike((7, 5), {"a": (3, 2)}),
        alike((1, 64, 64), {"a": (1, 20, 20)}),
        alike((3, 20, 200), {"a": (2, 9, 50)}, spacing=(9.0, 2.0, 0.5)),
    )
    plans = [make_plans(fingerprint) for fingerprint in fingerprints]
    for made in plans:
        check_valid(made)
    assert [made.config("2d").image_size for made in plans] == [(8, 8), (64, 64), (20, 208)]


def test_slices_cut_the_coarsest_axis_of_sagittal_scans():
    config = make_plans(alike((120, 100, 24), {"a": (40, 50, 6)}, spacing=(0.8, 0.9, 4.0))).config("2d")
    assert config.preprocessing.axis_order == (2, 0, 1)
    assert config.preprocessing.spacing_mm == (None, 0.8, 0.9)
    assert config.image_size == (120, 104)


def test_with_less_memory_states_are_computed_again_before_batches_shrink():
    fingerprint = alike((128, 128), {"a": (30, 30)})
    plans = [make_plans(fingerprint, memory_bytes=memory) for memory in (4_000_000_000, 930_000_000, 840_000_000)]
    mednca = [plan.config("2d").models["mednca"] for plan in plans]
    assert [network.keep_every > 0 for network in mednca] == [False, True, True]
    assert [network.training.batch_size for network in mednca] == [8, 8, 2]
    assert mednca[0].levels == mednca[1].levels
    assert "keeps only the states" in decision(plans[1], "2d", "batch size").because


def test_the_published_batch_is_kept_where_states_computed_again_make_room():
    fingerprint = alike((128, 128), {"a": (30, 30)})
    plans = [make_plans(fingerprint, memory_bytes=memory) for memory in (8_000_000_000, 4_000_000_000, 1_200_000_000)]
    paper = [plan.config("2d").models["mednca_paper"] for plan in plans]
    assert [network.keep_every > 0 for network in paper] == [False, True, True]
    assert [network.training.batch_size for network in paper] == [48, 48, 24]
    reasons = [decision(plan, "2d", "mednca_paper").because for plan in plans]
    assert ["one state in" in reason for reason in reasons] == [False, True, True]
    assert "batch is 24 instead of the paper's 48" in reasons[2] and "batch is" not in reasons[1]


def test_less_memory_plans_smaller_steps_and_never_fails():
    fingerprint = alike((128, 256, 256), {"a": (40, 60, 60)})
    batches = []
    for memory in (16_000_000_000, 4_000_000_000, 1_500_000_000, 600_000_000):
        plans = make_plans(fingerprint, memory_bytes=memory)
        check_valid(plans)
        assert plans.memory_bytes == memory
        config = plans.config("3d")
        unet = config.models["unet"]
        batches.append(
            (math.prod(unet.patch) * unet.training.batch_size, config.models["mednca_paper"].training.batch_size)
        )
    assert batches == sorted(batches, reverse=True)
    assert batches[0] > batches[-1]


def test_channels_grow_with_image_channels_and_classes():
    one = make_plans(alike((64, 64), {"a": (20, 20)})).config().models["mednca"]
    four = make_plans(alike((64, 64), {"a": (20, 20)}, channel_names=("T1", "T2", "FLAIR", "DWI"))).config()
    assert (one.channels, one.hidden) == (1 + 8, 64)  # 2 outputs and 5 hidden
    assert (four.models["mednca"].channels, four.models["mednca"].hidden) == (4 + 8, 64)
    assert len(four.preprocessing.normalisation) == 4
    volume = make_plans(alike((20, 64, 64), {"a": (8, 20, 20)}, channel_names=("T1", "T2"))).configs["2d"]
    assert volume.models["mednca"].channels == 3 * 2 + 8
    assert [channels(1, n_outputs).value for n_outputs in (3, 4, 12)] == [1 + 8, 1 + 16, 1 + 24]
    assert [hidden_units(n_free).value for n_free in (8, 16, 24, 32)] == [64, 64, 96, 96]


def test_ct_plans_carry_the_datasets_statistics():
    fingerprint = alike((64, 64), {"a": (20, 20)}, channel_names=("CT",))
    assert make_plans(fingerprint).config().preprocessing.ct_statistics == ((100.0, 20.0, 40.0, 160.0),)
    assert make_plans(hippocampus()).config().preprocessing.ct_statistics == ()


def test_training_range_holds_the_percentiles_of_the_cases():
    cases = [make_case(f"c{i}", (10, 20), {"a": (3, 6)}, spacing=(1 + i / 100, 2.0)) for i in range(101)]
    seen = make_plans(make_fingerprint(cases)).training_range
    assert seen.spacing_mm == ((1.005, 1.995), (2.0, 2.0))
    assert seen.extent_mm == ((10.05, 19.95), (40.0, 40.0))
    assert seen.intensity == ((100.0, 100.0),)


def test_unknown_spacing_is_not_called_millimetres():
    fingerprint = alike((64, 64), {"a": (20, 20)}, spacing_known=False)
    plans = make_plans(fingerprint)
    assert not plans.spacing_known
    assert decision(plans, "2d", "target spacing").value == "1x1 pixels"
    assert decision(make_plans(replace(fingerprint, spacing_known=True)), "2d", "target spacing").value == "1x1 mm"
