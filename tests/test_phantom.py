"""Phantoms: deterministic, anatomically in order in world space, varied, and a well-formed raw dataset on disk."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, label

from mednca_pipeline.phantom import ANTERIOR, IGNORE, POSTERIOR, Content, make_phantom, write_phantom_dataset
from mednca_pipeline.runtime.errors import InputError

SMALL = (24, 32, 24)


def _phantom(seed, **options):
    return make_phantom(np.random.default_rng(seed), **options)


def _centre_mm(labels, affine, value):
    """World coordinates (RAS, mm) of the centre of a structure in labels (z, y, x)."""
    voxels = np.argwhere(labels.T == value).mean(axis=0)
    return affine[:3, :3] @ voxels + affine[:3, 3]


def test_equal_seeds_give_equal_voxels_and_others_do_not():
    first, again, other = _phantom(7, size=SMALL), _phantom(7, size=SMALL), _phantom(8, size=SMALL)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first[0].shape != other[0].shape or not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("seed", range(4))
def test_head_and_tail_touch_are_one_piece_and_lie_as_in_a_head(seed):
    image, labels, affine = _phantom(seed)
    assert image.shape == labels.shape
    assert set(np.unique(labels)) == {0, ANTERIOR, POSTERIOR}
    assert label(labels > 0)[1] == 1
    assert (binary_dilation(labels == ANTERIOR) & (labels == POSTERIOR)).any()
    assert _centre_mm(labels, affine, ANTERIOR)[1] > _centre_mm(labels, affine, POSTERIOR)[1] + 8.0  # y+ is anterior
    assert 0.01 < (labels > 0).mean() < 0.1


def test_structure_is_darker_than_its_surroundings_in_every_case():
    for seed in range(4):
        image, labels, _ = _phantom(seed)
        shell = binary_dilation(labels > 0, iterations=3) & (labels == 0)
        assert image[labels > 0].mean() < 0.95 * image[shell].mean()


def test_spacing_orientation_shape_and_place_vary():
    cases = [_phantom(seed, size=SMALL) for seed in range(8)]
    spacings = np.array([nib.affines.voxel_sizes(affine) for _, _, affine in cases])
    assert 0.9 <= spacings.min() < spacings.max() <= 1.2
    assert len({nib.aff2axcodes(affine) for _, _, affine in cases}) >= 5
    assert len({tuple(sorted(labels.shape)) for _, labels, _ in cases}) >= 3
    off_centre = [np.argwhere(labels > 0).mean(axis=0) - (np.array(labels.shape) - 1) / 2 for _, labels, _ in cases]
    assert np.ptp(off_centre, axis=0).min() > 1.0


def test_shape_in_ras_order_is_the_asked_one_within_two_voxels():
    _, labels, affine = _phantom(3, size=SMALL)
    ras = nib.as_closest_canonical(nib.Nifti1Image(labels.T, affine))
    assert np.abs(np.array(ras.shape) - SMALL[::-1]).max() <= 2


def test_ct_is_in_hounsfield_units():
    image, labels, _ = _phantom(0, size=SMALL, contrast="CT")
    assert -150 < image.min() and image.max() < 200
    assert 0 < image[labels > 0].mean() < 60  # soft tissue


def test_writes_a_raw_dataset(tmp_path):
    folder = write_phantom_dataset(
        tmp_path / "Dataset001_Phantom", n_train=2, n_test=1, size=SMALL, content=Content(("MRI", "CT"))
    )
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert description == {
        "channel_names": {"0": "MRI", "1": "CT"},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    written = sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*.nii.gz"))
    assert written == [
        "imagesTr/phantom_000_0000.nii.gz",
        "imagesTr/phantom_000_0001.nii.gz",
        "imagesTr/phantom_001_0000.nii.gz",
        "imagesTr/phantom_001_0001.nii.gz",
        "imagesTs/unseen_000_0000.nii.gz",
        "imagesTs/unseen_000_0001.nii.gz",
        "labelsTr/phantom_000.nii.gz",
        "labelsTr/phantom_001.nii.gz",
        "labelsTs/unseen_000.nii.gz",
    ]
    image = nib.load(folder / "imagesTr" / "phantom_000_0000.nii.gz")
    labels = nib.load(folder / "labelsTr" / "phantom_000.nii.gz")
    np.testing.assert_array_equal(image.affine, labels.affine)
    assert image.shape == labels.shape


def test_a_longer_dataset_begins_with_the_shorter_one(tmp_path):
    short = write_phantom_dataset(tmp_path / "short", n_train=1, n_test=0, seed=5, size=SMALL)
    longer = write_phantom_dataset(tmp_path / "longer", n_train=2, n_test=0, seed=5, size=SMALL)
    name = "labelsTr/phantom_000.nii.gz"
    np.testing.assert_array_equal(nib.load(short / name).get_fdata(), nib.load(longer / name).get_fdata())


def test_regions_and_ignored_voxels(tmp_path):
    folder = write_phantom_dataset(
        tmp_path, n_train=1, n_test=0, size=SMALL, content=Content(regions=True, ignore=True)
    )
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert description["labels"] == {"background": 0, "whole": [1, 2], "posterior": 2, "ignore": 3}
    assert description["regions_class_order"] == [1, 2]
    assert list(description["labels"]) == ["background", "whole", "posterior", "ignore"]  # the order that 1, 2 is for
    labels = np.asarray(nib.load(folder / "labelsTr" / "phantom_000.nii.gz").dataobj)
    assert 0.05 < (labels == IGNORE).mean() < 0.15


@pytest.mark.parametrize(
    ("channels", "files", "mode"), [(("X",), 1, "L"), (("R", "G", "B"), 1, "RGB"), (("a", "b"), 2, "L")]
)
def test_two_axes_give_png(tmp_path, channels, files, mode):
    folder = write_phantom_dataset(tmp_path, n_train=1, n_test=0, size=(40, 48), content=Content(channels))
    images = sorted((folder / "imagesTr").glob("*.png"))
    assert len(images) == files
    labels = np.asarray(Image.open(folder / "labelsTr" / "phantom_000.png"))
    with Image.open(images[0]) as image:
        assert image.mode == mode
        assert image.size == labels.shape[::-1]
    assert set(np.unique(labels)) == {0, ANTERIOR, POSTERIOR}


def test_a_size_of_one_axis_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected"):
        write_phantom_dataset(tmp_path, size=(40,))
