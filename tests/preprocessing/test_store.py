import os
import sys

import numpy as np
import pytest

from mednca_pipeline.preprocessing.store import (
    CHUNK_BYTES,
    SAMPLED_VOXELS,
    CaseProperties,
    CaseStore,
    chunks_and_blocks,
    foreground_index,
)
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan, frame_of

LABELS = Labels(names=("liver", "tumour"), values=((1,), (2,)))


def _properties(shape, digest="d"):
    plan = PreprocessingPlan((2, 0, 1), (None, 1.0, 2.0), ("ct",), ((50.0, 25.0, -100.0, 300.0),))
    frame = frame_of(np.ones((1, *shape)), (1.0, 1.0, 2.5), plan)
    slices, voxels = {"liver": (0, 1), "tumour": ()}, {"liver": (5, 6), "tumour": ()}
    return CaseProperties(digest, (("a.nii.gz", 10, 1234567890123456789),), frame, shape, slices, voxels)


def _write(folder, name="fall_ä", shape=(4, 6, 5), dim=2, digest="d"):
    rng = np.random.default_rng(0)
    image, labels = rng.normal(size=(2, *shape)).astype(np.float32), rng.integers(0, 3, shape).astype(np.uint8)
    store = CaseStore(folder)
    store.write(name, image, labels, _properties(shape, digest), dim)
    return store, image, labels


@pytest.mark.parametrize("dim", [2, 3])
def test_what_is_written_is_read_in_a_non_ascii_folder(tmp_path, dim):
    store, image, labels = _write(tmp_path / "Größe 測試", dim=dim)
    assert store.cases() == ["fall_ä"]
    np.testing.assert_array_equal(store.image("fall_ä")[:], image)
    np.testing.assert_array_equal(store.labels("fall_ä")[1:2], labels[1:2])
    assert store.image("fall_ä").dtype == np.float32 and store.labels("fall_ä").dtype == np.uint8
    assert store.properties("fall_ä") == _properties((4, 6, 5))
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "fall_ä.image.b2nd",
        "fall_ä.labels.b2nd",
        "fall_ä.properties.json",
    ]


def test_a_slice_is_read_without_its_neighbours():
    # 2D: each block is one slice of one channel, as is no block of another slice
    chunks, blocks = chunks_and_blocks((3, 40, 100, 120), itemsize=4, dim=2)
    assert blocks == (1, 1, 100, 120)
    assert chunks == (1, CHUNK_BYTES // (100 * 120 * 4), 100, 120)
    # large slices: blocks of 512 x 512, which is a chunk's worth
    assert chunks_and_blocks((1, 40, 2048, 2048), 4, 2) == ((1, 1, 512, 512), (1, 1, 512, 512))
    # 3D: blocks of 32 x 64 x 64, two of them in a chunk of 1 MiB
    assert chunks_and_blocks((1, 100, 200, 200), 4, 3) == ((1, 32, 64, 128), (1, 32, 64, 64))
    assert chunks_and_blocks((10, 20, 30), 1, 3) == ((10, 20, 30), (10, 20, 30))


def test_truncated_and_missing_files_name_the_case_and_the_remedy(tmp_path):
    store, *_ = _write(tmp_path, "a")
    path = tmp_path / "a.image.b2nd"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="Case a: .*a.image.b2nd: expected an intact file.*--force"):
        store.image("a")
    with pytest.raises(InputError, match="b.properties.json: expected a JSON file, found no such file"):
        store.properties("b")


def test_cases_of_another_schema_are_made_again(tmp_path):
    store, *_ = _write(tmp_path, "a")
    properties = tmp_path / "a.properties.json"
    properties.write_text(properties.read_text(encoding="utf-8").replace('"schema":2', '"schema":1'), encoding="utf-8")
    assert not store.is_made_with("a", "d")
    with pytest.raises(InputError, match="expected schema 2, found 1"):
        store.properties("a")


def test_require_names_cases_of_another_plan(tmp_path):
    _write(tmp_path, "a", digest="now")
    store, *_ = _write(tmp_path, "b", digest="before")
    store.require(["a"], "now")
    with pytest.raises(InputError, match=r"2 cases that were not \(b, c\).*mednca_plan_and_preprocess"):
        store.require(["a", "b", "c"], "now")


def test_a_deleted_case_leaves_no_file_and_the_others(tmp_path):
    _write(tmp_path, "a")
    store, *_ = _write(tmp_path, "b")
    store.delete("a")
    assert store.cases() == ["b"]
    assert all(path.name.startswith("b.") for path in tmp_path.iterdir())


def test_foreground_index_is_sampled_the_same_every_time():
    labels = np.zeros((5, 40, 40), np.uint8)
    labels[2:4, :30] = 1  # 2400 voxels
    labels[4, 7, 9] = 2
    slices, voxels = foreground_index(labels, LABELS, "a")
    assert slices == {"liver": (2, 3), "tumour": (4,)}
    assert voxels["tumour"] == (4 * 1600 + 7 * 40 + 9,)
    assert len(set(voxels["liver"])) == SAMPLED_VOXELS
    assert (labels.ravel()[list(voxels["liver"])] == 1).all()
    assert foreground_index(labels, LABELS, "a") == (slices, voxels)
    assert foreground_index(labels, LABELS, "b")[1]["liver"] != voxels["liver"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_draws_its_voxels():
    target = np.zeros((2, 40, 40), np.uint8)
    target[:, :30] = 1  # more voxels than are stored, so that some are drawn by the case's name
    _, voxels = foreground_index(target, LABELS, os.fsdecode(b"caf\xe9"))
    assert len(voxels["liver"]) == SAMPLED_VOXELS
