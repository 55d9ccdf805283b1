import numpy as np

from mednca_pipeline.fingerprint.drawn import label_jumps


def test_a_voxel_jumps_where_both_neighbours_agree_on_another_label():
    labels = np.zeros((5, 4, 4), np.uint8)
    labels[2, 1:3, 1:3] = 1  # in one slice only
    jumps, changes = label_jumps(labels)
    assert jumps == (4, 0, 0)
    assert changes == (8, 4, 4)


def test_between_two_labels_nothing_jumps():
    labels = np.array([0, 1, 2, 2, 1, 2], np.uint8).reshape(6, 1, 1)
    assert label_jumps(labels) == ((1, 0, 0), (4, 0, 0))  # 0-1-2 does not; 2-1-2 does; the end has one neighbour


def test_labels_drawn_slice_by_slice_jump_across_the_slices():
    rng = np.random.default_rng(0)
    radius = 12 + rng.integers(-2, 3, 30)  # each coronal slice has its own
    z, x = np.ogrid[:40, :40]
    slices = [(z - 20) ** 2 + (x - 20) ** 2 < r**2 for r in radius]
    jumps, changes = label_jumps(np.stack(slices, axis=1).astype(np.uint8))
    shares = np.divide(jumps, changes)
    assert shares.argmax() == 1 and shares[1] > 2 * shares[[0, 2]].max()


def test_ignored_voxels_and_their_neighbours_do_not_count():
    labels = np.array([0, 3, 0, 1, 0, 1, 3, 1], np.uint8).reshape(8, 1, 1)
    assert label_jumps(labels, ignore=3) == ((2, 0, 0), (3, 0, 0))


def test_empty_labels_change_nowhere():
    assert label_jumps(np.zeros((3, 4, 5), np.uint8)) == ((0, 0, 0), (0, 0, 0))
