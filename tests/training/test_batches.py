import math
from dataclasses import replace

import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.training.artefacts import ArtefactRecipe
from mednca_pipeline.training.batches import BatchRecipe, Sampler

from .preprocessed_store import TWO_CLASSES, write_store

SIZE = (16, 24)


def _volume(shape=(10, 12, 20), seed=0):
    """Every slice of the image holds its own index; class 1 shows in slice 3 only, class 2 in slices 3 and 4."""
    image = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None, None], shape)[None]
    labels = np.zeros(shape, np.uint8)
    labels[3, 4:6, 5:8] = 1
    labels[3:5, 8:10, 5:8] = 2
    return image, labels


@pytest.fixture
def recipe(tmp_path):
    """Two small volumes, read by slices, not augmented."""
    write_store(tmp_path, {"a": _volume(), "b": _volume((6, 12, 20))}, dim=2)
    return BatchRecipe(
        tmp_path, ("a", "b"), TWO_CLASSES, 2, SIZE, patch=(8, 8), factor=(4, 4), batch_size=4, augmentation=0.0
    )


def test_shapes_and_types(recipe):
    batch = Sampler(replace(recipe, augmentation=1.0)).batch(0)
    assert batch.image.shape == (4, 1, 16, 24) and batch.image.dtype == np.float32
    assert batch.labels.shape == (4, 16, 24) and batch.labels.dtype == np.int16
    assert batch.origin.shape == (4, 2) and batch.origin.dtype == np.int64


def test_a_sample_depends_on_seed_fold_iteration_and_index_only(recipe):
    recipe = replace(recipe, augmentation=1.0)
    sampler = Sampler(recipe)
    for iteration in range(7):
        sampler.batch(iteration)
    after, fresh = sampler.batch(7), Sampler(recipe).batch(7)
    for name in batch_fields(fresh):
        np.testing.assert_array_equal(getattr(after, name), getattr(fresh, name))
    others = [
        Sampler(recipe).batch(8),
        Sampler(replace(recipe, seed=1)).batch(7),
        Sampler(replace(recipe, fold=1)).batch(7),
        Sampler(replace(recipe, fold="all")).batch(7),
    ]
    assert all(not np.array_equal(other.image, fresh.image) for other in others)
    assert not np.array_equal(fresh.image[0], fresh.image[1])


def test_artefacts_change_images_alone_and_depend_on_the_sample_only(recipe):
    image, labels = _volume()
    image = np.random.default_rng(0).normal(size=image.shape).astype(np.float32)  # a constant slice has no noise
    write_store(recipe.store, {"a": (image, labels), "b": (image, labels)}, dim=2)
    kinds = ArtefactRecipe(1.0, ("bias_field", "noise"), (math.inf, 1.0, 1.0), standardised=True)
    plain, changed = Sampler(recipe).batch(3), Sampler(replace(recipe, artefacts=kinds)).batch(3)
    np.testing.assert_array_equal(changed.labels, plain.labels)
    np.testing.assert_array_equal(changed.origin, plain.origin)
    assert all(not np.allclose(image, other) for image, other in zip(changed.image, plain.image, strict=True))
    again = Sampler(replace(recipe, artefacts=kinds))
    again.batch(0)
    np.testing.assert_array_equal(again.batch(3).image, changed.image)


def batch_fields(batch):
    return batch._fields


def test_all_samples_show_foreground_when_forced(recipe):
    forced = replace(recipe, foreground_share=1.0)
    seen = {0: 0, 1: 0, 2: 0}
    for iteration in range(30):
        batch = Sampler(forced).batch(iteration)
        for labels, origin in zip(batch.labels, batch.origin, strict=True):
            top, left = origin
            assert labels[top : top + 8, left : left + 8].any()
        for index in batch.image[:, 0, 0, 0]:
            assert index in (3, 4)
            seen[int(index == 4)] += 1
    # class 2 is drawn half of the time and then shows slice 4 half of the time: a quarter of 120
    assert 18 <= seen[1] <= 42


def test_unforced_samples_come_from_all_slices(recipe):
    free = replace(recipe, foreground_share=0.0, cases=("a",))
    drawn = {int(index) for iteration in range(30) for index in Sampler(free).batch(iteration).image[:, 0, 0, 0]}
    assert drawn == set(range(10))


def test_windows_are_aligned_and_inside(recipe):
    origins = np.concatenate([Sampler(recipe).batch(iteration).origin for iteration in range(40)])
    assert (origins % 4 == 0).all()
    assert (origins >= 0).all() and (origins + 8 <= SIZE).all()
    assert {tuple(origin) for origin in origins[::2]} > {(0, 0), (8, 16)}  # both corners are reached


def test_a_forced_patch_shows_the_outline(tmp_path):
    labels = np.zeros((1, 32, 32), np.uint8)
    labels[:, 8:28, 8:28] = 1
    write_store(tmp_path, {"a": (labels[None].astype(np.float32), labels)}, dim=2)
    recipe = BatchRecipe(tmp_path, ("a",), TWO_CLASSES, 2, (32, 32), (8, 8), (2, 2), 16, 1.0, augmentation=0.0)
    batch = Sampler(recipe).batch(0)
    shown = [labels[y : y + 8, x : x + 8] for labels, (y, x) in zip(batch.labels, batch.origin, strict=True)]
    assert all(0 < patch.mean() < 1 for patch in shown)  # in the middle of the square it would be 1


def test_whole_image_as_patch_starts_at_zero(recipe):
    assert not Sampler(replace(recipe, patch=SIZE)).batch(0).origin.any()


def test_small_images_are_centred_and_their_edges_replicated(tmp_path):
    image = np.arange(15, dtype=np.float32).reshape(1, 1, 3, 5)
    labels = np.zeros((1, 3, 5), np.uint8)
    labels[0, 2, 4] = 2
    write_store(tmp_path, {"a": (image, labels)}, dim=2)
    recipe = BatchRecipe(tmp_path, ("a",), TWO_CLASSES, 2, (6, 8), (6, 8), (2, 2), 1, augmentation=0.0)
    batch = Sampler(recipe).batch(0)
    rows, columns = [0, 0, 1, 2, 2, 2], [0, 0, 1, 2, 3, 4, 4, 4]  # 1 row before and 2 after; 1 column and 2
    np.testing.assert_array_equal(batch.image[0, 0], image[0, 0][np.ix_(rows, columns)])
    np.testing.assert_array_equal(batch.labels[0], labels[0][np.ix_(rows, columns)])


@pytest.mark.parametrize("dim", [2, 3])
def test_larger_images_are_cropped_around_the_forced_foreground(tmp_path, dim):
    shape = (8, 40, 50)
    labels = np.zeros(shape, np.uint8)
    labels[2, 35, 3] = 1
    image = np.stack([np.arange(labels.size).reshape(shape), labels])  # channel 0 tells every voxel's place
    write_store(tmp_path, {"a": (image, labels)}, dim)
    size = (4, 16, 16)[-dim:]
    recipe = BatchRecipe(tmp_path, ("a",), TWO_CLASSES, dim, size, size, (2,) * dim, 8, 1.0, augmentation=0.0)
    places = set()
    for iteration in range(4):
        batch = Sampler(recipe).batch(iteration)
        assert (batch.labels == 1).reshape(8, -1).sum(axis=1).tolist() == [1] * 8
        np.testing.assert_array_equal(batch.image[:, 1], batch.labels)
        places |= set(batch.image[:, 0].reshape(8, -1)[:, 0])
    assert len(places) > 5  # at random otherwise


def test_volumes(tmp_path):
    write_store(tmp_path, {"a": _volume()}, dim=3)
    recipe = BatchRecipe(tmp_path, ("a",), TWO_CLASSES, 3, (12, 16, 24), (4, 8, 8), (2, 4, 4), 2, 1.0)
    batch = Sampler(recipe).batch(0)
    assert batch.image.shape == (2, 1, 12, 16, 24) and batch.labels.shape == (2, 12, 16, 24)
    for labels, (s, h, w) in zip(batch.labels, batch.origin, strict=True):
        assert labels[s : s + 4, h : h + 8, w : w + 8].any()


def test_regions_may_overlap(tmp_path):
    whole_and_core = Labels(names=("whole", "core"), values=((1, 2), (2,)), region_order=(1, 2))
    write_store(tmp_path, {"a": _volume()}, 2, whole_and_core)
    recipe = BatchRecipe(tmp_path, ("a",), whole_and_core, 2, SIZE, (8, 8), (4, 4), 4, 1.0, augmentation=0.0)
    drawn = {int(index) for i in range(10) for index in Sampler(recipe).batch(i).image[:, 0, 0, 0]}
    assert drawn == {3, 4}


def test_case_without_foreground_is_sampled_all_the_same(tmp_path):
    image, labels = _volume()
    write_store(tmp_path, {"empty": (image, 0 * labels)}, dim=2)
    recipe = BatchRecipe(tmp_path, ("empty",), TWO_CLASSES, 2, SIZE, (8, 8), (4, 4), 4, 1.0, augmentation=0.0)
    assert not Sampler(recipe).batch(0).labels.any()


def test_errors_name_the_case(recipe):
    (recipe.store / "a.image.b2nd").unlink()
    with pytest.raises(InputError, match=r"a\.image\.b2nd: expected a preprocessed array, found no such file"):
        Sampler(replace(recipe, cases=("a",))).batch(0)
    with pytest.raises(InputError, match="no-such-case.properties.json: expected a JSON file, found no such file"):
        Sampler(replace(recipe, cases=("no-such-case",))).batch(0)


def test_impossible_recipes_are_refused(recipe):
    with pytest.raises(InputError, match="expected cases to train on, found none"):
        replace(recipe, cases=())
    with pytest.raises(ValueError, match="larger than image_size"):
        replace(recipe, patch=(32, 8))
    with pytest.raises(ValueError, match="need 2 entries"):
        replace(recipe, factor=(4, 4, 4))
