import numpy as np
import pytest

from .conversions import box, converted, noise, pixels, run, save_picture


def _rgb(grey):
    return np.stack([grey] * 3, axis=-1)


@pytest.fixture
def busi(tmp_path):
    source = tmp_path / "Dataset_BUSI_with_GT"
    save_picture(source / "benign" / "benign (1).png", _rgb(noise(6, 8, seed=1)))
    first, second = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
    first[1, 2], second[4, 5] = True, True
    save_picture(source / "benign" / "benign (1)_mask.png", first)  # one bit
    save_picture(source / "benign" / "benign (1)_mask_1.png", second.astype(np.uint8) * 255)
    coloured = _rgb(noise(6, 8, seed=2))
    coloured[0, 0] = (255, 0, 0)
    save_picture(source / "malignant" / "malignant (1).png", coloured)
    save_picture(source / "malignant" / "malignant (1)_mask.png", _rgb(box(6, 8, value=255)))
    save_picture(source / "malignant" / "malignant (2).png", _rgb(noise(6, 8, seed=3)))  # nobody outlined it
    save_picture(source / "normal" / "normal (1).png", _rgb(noise(6, 8, seed=4)))
    save_picture(source / "normal" / "normal (1)_mask.png", _rgb(np.zeros((6, 8), np.uint8)))
    save_picture(source / "normal" / "normal (2).png", _rgb(noise(6, 8, seed=5)))
    return source


def test_busi(tmp_path, busi, capsys):
    assert run(tmp_path, "busi", "-i", busi.parent / busi.name, "-d", "20") == 0
    out = capsys.readouterr().out
    assert "one grey channel" in out and "1 image (malignant (1).png) with coloured marks" in out
    dataset, described = converted(tmp_path, "Dataset020_BUSI")
    assert described["spacing_known"] is False and described["labels"] == {"background": 0, "lesion": 1}
    assert [case.name for case in dataset.training] == ["benign_1", "malignant_1", "normal_1", "normal_2"]
    assert [case.name for case in dataset.test] == ["malignant_2"]
    benign, malignant, normal, unmasked = dataset.training
    np.testing.assert_array_equal(pixels(benign.images[0]), noise(6, 8, seed=1))
    assert np.argwhere(pixels(benign.label)).tolist() == [[1, 2], [4, 5]]  # both masks
    assert pixels(benign.label).max() == 1
    assert pixels(malignant.images[0])[0, 0] == 76  # luma of red: 0.299 * 255
    np.testing.assert_array_equal(pixels(malignant.label), box(6, 8))
    assert not pixels(normal.label).any() and not pixels(unmasked.label).any()


def test_a_busi_mask_of_another_size_or_without_an_image_is_named(tmp_path, busi, capsys):
    save_picture(busi / "benign" / "benign (1)_mask_1.png", box(6, 9, value=255))
    assert run(tmp_path, "busi", "-i", busi, "-d", "20") == 2
    assert "benign (1)_mask_1.png: expected the size (6, 8)" in capsys.readouterr().err
    save_picture(busi / "benign" / "benign (7)_mask.png", box(6, 8, value=255))
    assert run(tmp_path, "busi", "-i", busi, "-d", "20") == 2
    assert "benign (7)_mask.png" in capsys.readouterr().err


def test_a_folder_of_another_layout_is_refused(tmp_path, capsys):
    (tmp_path / "x" / "pictures").mkdir(parents=True)
    assert run(tmp_path, "busi", "-i", tmp_path / "x", "-d", "20") == 2
    assert "benign" in capsys.readouterr().err
