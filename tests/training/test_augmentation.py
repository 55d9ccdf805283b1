import random

import numpy as np
import pytest

from mednca_pipeline.training.augmentation import augment, training_transforms

SIZE = (24, 32)


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, *SIZE)).astype(np.float32)
    labels = np.zeros(SIZE, np.int16)
    labels[8:16, 10:20] = 3
    return image, labels


def _augmented(sample, seed, mirror_axes=()):
    return augment(*sample, training_transforms(SIZE, mirror_axes), np.random.SeedSequence(seed))


def test_same_seed_same_sample_and_input_untouched(sample):
    before = sample[0].copy()
    first, again = _augmented(sample, 5), _augmented(sample, 5)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    np.testing.assert_array_equal(sample[0], before)


def test_seeds_differ_and_keep_shape_type_and_label_values(sample):
    results = [_augmented(sample, seed) for seed in range(30)]
    changed = [not np.array_equal(image, sample[0]) for image, _ in results]
    assert sum(changed) > 20  # each transform is rare, all of them together are not
    for image, labels in results:
        assert image.shape == sample[0].shape and image.dtype == np.float32 and np.isfinite(image).all()
        assert labels.shape == SIZE and labels.dtype == np.int16
        assert set(np.unique(labels)) <= {0, 3}  # nearest neighbour: no value in between
    areas = [(labels == 3).sum() for _, labels in results]
    assert min(areas) < 80 < max(areas)  # 8 x 10 voxels, enlarged in some and reduced in others


def test_frequency_says_how_often_relative_to_nnunet(sample):
    def changed(frequency):
        transforms = training_transforms(SIZE, frequency=frequency)
        results = [augment(*sample, transforms, np.random.SeedSequence(seed))[1] for seed in range(60)]
        return sum(not np.array_equal(labels, sample[1]) for labels in results)

    assert changed(0.0) == 0 < changed(0.3) < changed(1.0)


def test_global_generators_are_left_as_they_were(sample):
    np.random.seed(1)
    random.seed(1)
    expected = np.random.random(), random.random()
    np.random.seed(1)
    random.seed(1)
    _augmented(sample, 7)
    assert (np.random.random(), random.random()) == expected


def test_image_and_labels_move_together():
    labels = np.zeros(SIZE, np.int16)
    labels[6:18, 8:24] = 1
    image = labels[None].astype(np.float32)
    for seed in range(40):
        moved, moved_labels = _augmented((image, labels), seed, mirror_axes=(0, 1))
        bright = moved[0] > (moved[0].min() + moved[0].max()) / 2
        overlap = 2 * (bright & (moved_labels == 1)).sum() / (bright.sum() + (moved_labels == 1).sum())
        assert overlap > 0.9


def test_mirrors_only_on_request():
    ramp = np.broadcast_to(np.arange(SIZE[1], dtype=np.float32), (1, *SIZE))
    labels = np.zeros(SIZE, np.int16)

    def flips(mirror_axes):
        images = [_augmented((ramp, labels), seed, mirror_axes)[0][0] for seed in range(40)]
        return sum(image[:, 0].mean() > image[:, -1].mean() for image in images)

    assert flips(()) == 0
    assert 8 <= flips((1,)) <= 32


def test_thick_slices_are_not_rotated_out_of_their_plane():
    thick = training_transforms((4, 32, 32)).transforms[0]
    assert thick.angles[0] > 0 and thick.angles[1:] == (0.0, 0.0)
    cube = training_transforms((32, 32, 32)).transforms[0]
    assert min(cube.angles) > 0


def test_volumes_are_augmented_in_three_dimensions():
    size = (12, 16, 14)
    image = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
    labels = np.zeros(size, np.int16)
    labels[4:8, 4:8, 4:8] = 2
    out = [augment(image, labels, training_transforms(size), np.random.SeedSequence(seed)) for seed in range(10)]
    assert all(result.shape == (1, *size) and target.shape == size for result, target in out)
    assert any(not np.array_equal(target, labels) for _, target in out)


def test_slices_of_an_image_change_alike_and_images_by_themselves():
    image = np.random.default_rng(0).normal(size=(1, *SIZE)).astype(np.float32)
    stacked = np.concatenate([image, 2 * image] * 3)  # two image channels, three equal slices of each
    labels = np.zeros(SIZE, np.int16)
    transforms = training_transforms(SIZE, slices=3)
    transforms.transforms = [transforms.transforms[1]]  # the intensities alone
    transforms.transforms[0].transform.transforms = transforms.transforms[0].transform.transforms[1:]  # without noise
    apart = 0
    for seed in range(40):
        out, _ = augment(stacked, labels, transforms, np.random.SeedSequence(seed))
        np.testing.assert_allclose(out[0], out[2], atol=1e-5)
        np.testing.assert_allclose(out[1], out[5], atol=1e-5)
        apart += not np.allclose(2 * out[0], out[1], atol=1e-3)
    assert apart > 10
