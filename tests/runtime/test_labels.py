"""Labels: reading dataset.json's forms, and the way to network outputs and back."""

from pathlib import Path

import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.records import from_dict

SOURCE = Path("raw/dataset.json")
CLASSES = Labels(("anterior", "posterior"), ((1,), (2,)))
REGIONS = Labels(("whole", "core", "enhancing"), ((1, 2, 3), (2, 3), (3,)), (1, 2, 3), ignore=4)


def test_reads_plain_classes_in_order():
    labels = Labels.from_dataset_json({"background": 0, "anterior": 1, "posterior": 2}, None, SOURCE)
    assert labels == CLASSES
    assert labels.n_outputs == 3
    assert labels.valid_values == {0, 1, 2}


def test_reads_regions_and_ignore():
    entry = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    labels = Labels.from_dataset_json(entry, [1, 2, 3], SOURCE)
    assert labels == REGIONS
    assert labels.has_regions
    assert labels.n_outputs == 3
    assert labels.valid_values == {0, 1, 2, 3, 4}


def test_gaps_between_values_are_kept():
    labels = Labels.from_dataset_json({"background": 0, "liver": 7, "tumour": 300}, None, SOURCE)
    decoded = labels.decode([np.array([0.6, 0.1, 0.1]), np.array([0.3, 0.8, 0.2]), np.array([0.1, 0.1, 0.7])])
    assert decoded.tolist() == [0, 7, 300]
    assert decoded.dtype == np.uint16
    assert CLASSES.decode([np.array([1.0]), np.array([0.0]), np.array([0.0])]).dtype == np.uint8


@pytest.mark.parametrize(
    ("labels", "order", "words"),
    [
        ({"0": "background", "1": "liver"}, None, "background"),
        ({"background": 0, "1": "liver"}, None, '"liver": 1'),
        ({"background": 0}, None, "besides background"),
        ({"background": 1, "liver": 2}, None, '"background": 0'),
        ({"background": 0, "liver": 1.5}, None, "whole numbers"),
        ({"background": 0, "liver": True}, None, "whole numbers"),
        ({"background": 0, "liver": 1, "tumour": 1}, None, "value of its own"),
        ({"background": 0, "liver": 1, "ignore": 1}, None, "ignore"),
        ({"background": 0, "liver": 1, "tumour": 3, "ignore": 2}, None, "highest .* found 2 below 3"),
        ({"background": 0, "liver": -1}, None, r"\[-1\]"),
        ({"background": 0, "liver": 0}, None, "no class with the value 0 of background"),
        ({"background": 0, "whole": [1, 2], "core": 2}, None, "regions_class_order"),
        ({"background": 0, "whole": [1, 2], "core": 2}, [1], "regions_class_order"),
        ({"background": 0, "whole": [1, 2], "core": 2}, [1, 9], "values of the regions .1, 2., found 1, 9"),
        ([0, 1], None, "expected"),
    ],
)
def test_wrong_entries_are_named_with_the_file(labels, order, words):
    with pytest.raises(InputError, match=words) as caught:
        Labels.from_dataset_json(labels, order, SOURCE)
    assert caught.value.where.startswith(f"{SOURCE}: ")


def test_encode_classes_one_hot_and_back():
    values = np.array([[0, 1], [2, 1]])
    encoded = CLASSES.encode(values)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[[1, 0], [0, 0]], [[0, 1], [0, 1]], [[0, 0], [1, 0]]]
    assert np.array_equal(CLASSES.decode(encoded), values)


def test_encode_regions_and_back_with_ignored_voxels_empty():
    encoded = REGIONS.encode(np.array([0, 1, 2, 3, 4]))
    assert encoded.tolist() == [[0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0]]
    assert REGIONS.decode(encoded).tolist() == [0, 1, 2, 3, 0]


def test_ignored_voxels_are_zero_in_every_class():
    labels = Labels(("liver",), ((1,),), ignore=255)
    assert labels.encode(np.array([0, 1, 255])).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_decode_takes_the_earlier_of_equals_and_leaves_its_input_alone():
    maps = [np.array([0.4, 0.2]), np.array([0.4, 0.4]), np.array([0.2, 0.4])]
    assert CLASSES.decode(iter(maps)).tolist() == [0, 1]
    assert maps[0].tolist() == [0.4, 0.2]


def test_decode_regions_writes_in_order_above_a_half():
    maps = [np.array([0.9, 0.9, 0.5]), np.array([0.6, 0.4, 0.5]), np.array([0.1, 0.7, 0.5])]
    assert REGIONS.decode(maps).tolist() == [2, 3, 0]


@pytest.mark.parametrize(("labels", "number"), [(CLASSES, 2), (CLASSES, 4), (REGIONS, 2), (REGIONS, 4)])
def test_decode_refuses_another_number_of_maps(labels, number):
    with pytest.raises(ValueError, match="Expected 3 probability maps"):
        labels.decode([np.zeros(2)] * number)


def test_masks_and_foreground():
    values = np.array([0, 1, 2, 3, 4])
    masks = {name: mask.tolist() for name, mask in REGIONS.masks(values)}
    assert masks["whole"] == [False, True, True, True, False]
    assert masks["enhancing"] == [False, False, False, True, False]
    assert REGIONS.foreground(values).tolist() == [False, True, True, True, False]


def test_survives_json():
    data = {"names": ["a", "b"], "values": [[1, 2], [2]], "region_order": [1, 2], "ignore": None}
    assert from_dict(Labels, data) == Labels(("a", "b"), ((1, 2), (2,)), (1, 2), None)
