import os
import traceback
from dataclasses import replace
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.datasets.dataset import Case
from mednca_pipeline.preprocessing.run import Target, preprocess_dataset, preprocessing_digest
from mednca_pipeline.preprocessing.store import CaseStore
from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.images import read_image, write_labels
from mednca_pipeline.runtime.labels import Labels
from mednca_pipeline.runtime.preprocessing import PreprocessingPlan

from ..dicom_series import write_series

LABELS = Labels(names=("front", "back"), values=((1,), (2,)))
PLAN = PreprocessingPlan(axis_order=(0, 1, 2), spacing_mm=(None, 1.0, 1.0), normalisation=("zscore",))
SHAPE_XYZ = (12, 10, 6)


def _save(array_xyz, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array_xyz, np.diag([-1.0, -1.0, 1.0, 1.0])), path)  # LPS: no flip on reading
    return path


def _case(folder, name, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE_XYZ, np.uint8)
    labels[3:6, 4:7, 2:4] = 1
    labels[6:8, 4:7, 3:5] = 2
    image = _save(rng.uniform(1, 100, SHAPE_XYZ).astype(np.float32), folder / "imagesTr" / f"{name}_0000.nii.gz")
    return Case(name, (image,), _save(labels, folder / "labelsTr" / f"{name}.nii.gz"))


def _dataset(*cases):
    return SimpleNamespace(name="Dataset001_Test", training=cases)


def _plans(plan=PLAN, dim=2, labels=LABELS, memory_bytes=None):
    asked_for = {"memory": f"{memory_bytes}B"} if memory_bytes else {}
    return SimpleNamespace(
        labels=labels,
        config=lambda name: SimpleNamespace(preprocessing=plan, dim=dim),
        overrides=asked_for,
        memory_bytes=memory_bytes or 1,
    )


def _run(cases, folder, plan=PLAN, **options):
    return preprocess_dataset(_dataset(*cases), Target.planned(_plans(plan), "2d", folder), **options)


@pytest.fixture
def cases(tmp_path):
    return [_case(tmp_path / "roh_ü", f"fall_{i}", seed=i) for i in range(3)]


def test_stored_case_is_the_preprocessed_image(cases, tmp_path):
    folder = tmp_path / "vorverarbeitet_ü"
    seen = []
    result = _run(cases, folder, progress=seen.append)
    assert result.written == ("fall_0", "fall_1", "fall_2") and result.skipped == ()
    assert sorted(seen) == ["fall_0", "fall_1", "fall_2"]
    store = CaseStore(folder)
    image, labels, properties = store.image("fall_1")[:], store.labels("fall_1")[:], store.properties("fall_1")
    assert image.shape == (1, 6, 10, 12) and abs(image.mean()) < 0.01 and abs(image.std() - 1) < 0.01
    np.testing.assert_array_equal(labels, nib.load(cases[1].label).get_fdata().transpose(2, 1, 0))
    assert properties.slices == {"front": (2, 3), "back": (3, 4)}
    assert len(properties.voxels["front"]) == 18  # 3 x 3 x 2
    assert properties.frame.crop.shape == (6, 10, 12)
    store.require(["fall_0", "fall_1", "fall_2"], preprocessing_digest(PLAN, LABELS))


def test_finished_cases_are_skipped_until_plan_or_file_changes(cases, tmp_path):
    folder = tmp_path / "out"
    _run(cases, folder)
    (folder / "fall_2.properties.json").unlink()  # what an interrupted run leaves
    again = _run(cases, folder)
    assert again.written == ("fall_2",) and again.skipped == ("fall_0", "fall_1")

    os.utime(cases[0].label, (1, 1))
    assert _run(cases, folder).written == ("fall_0",)

    coarser = replace(PLAN, spacing_mm=(None, 2.0, 2.0))
    assert len(_run(cases, folder, plan=coarser).written) == 3
    assert CaseStore(folder).image("fall_0").shape == (1, 6, 5, 6)
    assert len(_run(cases, folder, plan=coarser).skipped) == 3
    assert len(_run(cases, folder, plan=coarser, force=True).written) == 3


def test_cases_that_the_dataset_no_longer_has_are_deleted(cases, tmp_path, caplog):
    folder = tmp_path / "out"
    _run(cases, folder)
    with caplog.at_level("INFO", logger="mednca_pipeline"):
        again = _run(cases[1:], folder)
    assert again.written == () and CaseStore(folder).cases() == ["fall_1", "fall_2"]
    assert "deleted 1 cases that Dataset001_Test no longer has: fall_0" in caplog.text
    assert not list(folder.glob("fall_0*"))


def test_changed_voxels_beside_a_header_are_noticed(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    case = _case(tmp_path / "raw", "fall")
    files = [path.with_name(path.name.replace(".nii.gz", ".mhd")) for path in (*case.images, case.label)]
    for source, target in zip((*case.images, case.label), files, strict=True):
        sitk.WriteImage(sitk.ReadImage(str(source)), str(target))
    case = Case("fall", (files[0],), files[1])
    assert _run([case], tmp_path / "out").written == ("fall",)
    assert _run([case], tmp_path / "out").skipped == ("fall",)
    for file in files:
        os.utime(file.with_suffix(".raw"), (1, 1))
        assert _run([case], tmp_path / "out").written == ("fall",)


def test_a_dicom_folder_is_a_case_and_its_changes_are_noticed(tmp_path):
    expected = write_series(tmp_path / "scans" / "fall.1").astype(np.float32)
    image = read_image(tmp_path / "scans" / "fall.1")
    write_labels(tmp_path / "fall.nii.gz", np.ones(image.geometry.shape, np.uint8), image.geometry)
    case = Case("fall", (tmp_path / "scans" / "fall.1",), tmp_path / "fall.nii.gz")
    plan = replace(PLAN, spacing_mm=(None, None, None), normalisation=("none",))
    assert _run([case], tmp_path / "out", plan).written == ("fall",)
    np.testing.assert_array_equal(CaseStore(tmp_path / "out").image("fall")[:], expected[None])
    assert _run([case], tmp_path / "out", plan).skipped == ("fall",)
    os.utime(next(case.images[0].iterdir()), (1, 1))
    assert _run([case], tmp_path / "out", plan).written == ("fall",)


def test_digest_does_not_depend_on_the_way_through_json():
    whole_numbers = replace(PLAN, spacing_mm=(None, 1, 1))
    assert preprocessing_digest(whole_numbers, LABELS) == preprocessing_digest(PLAN, LABELS)
    assert preprocessing_digest(PLAN, replace(LABELS, ignore=3)) != preprocessing_digest(PLAN, LABELS)


def test_digest_of_what_was_preprocessed_before_still_holds():
    assert preprocessing_digest(PLAN, LABELS) == "6e156394f77a3ff7d20dd894e8739cace305b6c496ffaed5ce00ff6680274093"


def test_bad_cases_are_named_and_do_not_stop_the_others(cases, tmp_path):
    cases[0].images[0].write_bytes(b"no image")
    _save(np.zeros((5, 5, 5), np.uint8), cases[1].label)
    with pytest.raises(InputError, match="2 of 3 cases that could not") as caught:
        _run(cases, tmp_path / "out")
    message = str(caught.value)
    assert "fall_0: " in message and "fall_1: " in message and "fall_2: " not in message
    assert "expected the image's shape (6, 10, 12), found (5, 5, 5)" in message
    assert CaseStore(tmp_path / "out").cases() == ["fall_2"]


def test_workers_do_the_same_and_pass_on_the_real_traceback(cases, tmp_path, workers):
    _run(cases, tmp_path / "alone")
    _save(np.zeros((5, 5, 5), np.uint8), cases[1].label)
    with pytest.raises(InputError, match="1 of 3 cases") as caught:
        _run(cases, tmp_path / "together", executor=workers)
    text = "".join(traceback.format_exception(caught.value))
    assert "in preprocess_case" in text and "fall_1" in str(caught.value)
    alone, together = CaseStore(tmp_path / "alone"), CaseStore(tmp_path / "together")
    assert together.cases() == ["fall_0", "fall_2"]
    for case in together.cases():
        np.testing.assert_array_equal(alone.image(case)[:], together.image(case)[:])
        assert alone.properties(case) == together.properties(case)


def test_a_label_without_an_orientation_is_stored_as_the_image_lies(cases, tmp_path):
    _run(cases[:1], tmp_path / "expected")
    plain = nib.Nifti1Image(np.asarray(nib.load(cases[0].label).dataobj)[::-1], None)
    nib.save(plain, cases[0].label)  # read by its own header, the first axis would run the other way
    image = nib.load(cases[0].images[0])
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1], np.diag([1.0, -1.0, 1.0, 1.0])), cases[0].images[0])
    _run(cases[:1], tmp_path / "found")
    expected, found = (CaseStore(tmp_path / name) for name in ("expected", "found"))
    np.testing.assert_array_equal(found.labels("fall_0")[:], expected.labels("fall_0")[:])
    np.testing.assert_array_equal(found.image("fall_0")[:], expected.image("fall_0")[:])


def test_a_case_that_needs_more_than_the_memory_is_refused_and_the_others_are_stored(cases, tmp_path):
    """40 times the target spacing along y and x: 6 x 10 x 12 voxels become 6 x 400 x 480."""
    path = cases[1].images[0]
    array = np.asarray(nib.load(path).dataobj)
    nib.save(nib.Nifti1Image(array, np.diag([-40.0, -40.0, 1.0, 1.0])), path)
    with pytest.raises(InputError) as error:
        target = Target.planned(_plans(memory_bytes=2_000_000), "2d", tmp_path / "out")
        preprocess_dataset(_dataset(*cases), target)
    said = str(error.value)
    assert f"{path}: expected an image that needs at most 2 MB of memory, as given" in said
    assert "6 x 10 x 12 voxels that become 6 x 400 x 480 after resampling, which need 4.61 MB or more" in said
    assert CaseStore(tmp_path / "out").cases() == ["fall_0", "fall_2"]
