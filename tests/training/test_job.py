"""What a training is made of: which cases it knows, and which splits it refuses."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.cli.plan_and_preprocess import main as plan_main
from mednca_pipeline.cli.train import main as train_main
from mednca_pipeline.crossval.options import CrossvalOptions
from mednca_pipeline.crossval.run import crossvalidate
from mednca_pipeline.fingerprint.leakage import workspace_splits
from mednca_pipeline.models.registry import read_plans
from mednca_pipeline.plans.plans import write_plans
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.training.fold import scoring_batch
from mednca_pipeline.training.job import prepare
from mednca_pipeline.training.options import TrainingOptions
from mednca_pipeline.workspace import Workspace

DATASET = "Dataset001_Phantom"


@pytest.fixture
def workspace(phantom_workspace, tmp_path):
    """A copy of six phantoms, planned and preprocessed, without results."""
    for name in ("raw", "preprocessed", "plans"):
        shutil.copytree(phantom_workspace / name, tmp_path / name)
    return Workspace(tmp_path)


@pytest.fixture
def store(workspace):
    return CaseStore(workspace.preprocessed_folder(DATASET, "2d"))


def cases_of(workspace, fold="all"):
    return prepare(workspace, TrainingOptions("1", fold, config="2d")).recipe.cases


def split_in_two(workspace, names):
    """A splits.json in nnU-Net's form: the last case validates."""
    folds = [{"train": names[:-1], "val": names[-1:]}]
    workspace.splits_file(DATASET).write_text(json.dumps(folds), encoding="utf-8")


def test_a_case_removed_from_raw_is_trained_on_no_more(workspace, store):
    names = store.cases()
    for folder in ("imagesTr", "labelsTr"):
        (file,) = (workspace.raw_folder(DATASET) / folder).glob(f"{names[0]}*")
        file.unlink()
    workspace.splits_file(DATASET).unlink()
    root = str(workspace.root)
    assert plan_main(["-d", "1", "--root", root, "-np", "0", "--folds", "2", "--quiet"]) == 0
    assert cases_of(workspace) == tuple(names[1:])
    assert train_main(["1", "fold0", "--root", root, "--config", "2d", "--iterations", "1", "-np", "0", "--quiet"]) == 0


def test_cases_of_the_store_that_the_fingerprint_does_not_know_do_not_count(workspace, store):
    names = store.cases()
    text = (store.folder / f"{names[0]}.properties.json").read_text(encoding="utf-8")
    of_another_plan = json.dumps({**json.loads(text), "digest": "before"})
    (store.folder / "gone.properties.json").write_text(of_another_plan, encoding="utf-8")
    assert cases_of(workspace) == tuple(names)
    assert set(cases_of(workspace, 0)) < set(names)


def test_a_case_of_another_plan_is_refused(workspace, store):
    name = cases_of(workspace, 0)[0]
    (store.folder / f"{name}.properties.json").unlink()
    with pytest.raises(InputError, match=f"preprocessed with the present plan, found . cases that were not .{name}"):
        cases_of(workspace, 0)


def test_without_a_fingerprint_the_store_says_which_cases_there_are(workspace, store):
    workspace.fingerprint_file(DATASET).unlink()
    assert cases_of(workspace) == tuple(store.cases())
    assert len(cases_of(workspace, 0)) == 4  # of six cases in three folds


def test_identical_images_on_both_sides_of_a_users_split_are_refused(workspace, store):
    names = store.cases()
    split_in_two(workspace, names)
    assert len(workspace_splits(workspace, DATASET, names)) == 1
    fingerprint = json.loads(workspace.fingerprint_file(DATASET).read_text(encoding="utf-8"))
    fingerprint["cases"][-1]["image_sha256"] = fingerprint["cases"][0]["image_sha256"]
    workspace.fingerprint_file(DATASET).write_text(json.dumps(fingerprint), encoding="utf-8")
    for reads in (
        lambda: workspace_splits(workspace, DATASET, names),
        lambda: prepare(workspace, TrainingOptions("1", 0, config="2d")),
        lambda: crossvalidate(workspace, CrossvalOptions("1")),
    ):
        with pytest.raises(InputError, match=f"identical images.*{names[0]} and {names[-1]}"):
            reads()


def test_artefacts_of_the_plan_reach_the_samples_but_not_the_scored_ones(workspace):
    file = workspace.plans_file(DATASET)
    plans = read_plans(file)
    assert prepare(workspace, TrainingOptions("1", "all", model="mednca_paper", config="2d")).recipe.artefacts is None
    for model in ("mednca", "unet_small"):
        config = plans.config("2d")
        plan = config.model(model)
        training = replace(plan.training, artefacts=0.3, artefact_kinds=("noise",))
        config = config.with_model(model, replace(plan, training=training))
        write_plans(file, replace(plans, configs={**plans.configs, "2d": config}))
        job = prepare(workspace, TrainingOptions("1", "all", config="2d", model=model))
        made = job.recipe.artefacts
        assert (made.rate, made.kinds, made.spacing_mm[0], made.standardised) == (0.3, ("noise",), math.inf, True)
        always = replace(job, recipe=replace(job.recipe, artefacts=replace(made, rate=1.0)))
        np.testing.assert_array_equal(scoring_batch(always).image, scoring_batch(job).image)
