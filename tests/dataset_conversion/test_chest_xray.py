import numpy as np

from .conversions import converted, noise, pixels, run, save_picture


def test_chest_xray(tmp_path):
    source = tmp_path / "ChestXray"
    grey = np.tile(np.array([0, 1, 127, 128, 254, 255], np.uint8), (4, 1))
    for name, mask in (("MCUCXR_0001_0", "MCUCXR_0001_0"), ("CHNCXR_0002_1", "CHNCXR_0002_1_mask")):
        save_picture(source / "images" / f"{name}.png", noise(4, 6, seed=len(mask)))
        save_picture(source / "masks" / f"{mask}.png", grey)
    save_picture(source / "images" / "CHNCXR_0003_1.png", noise(4, 6, seed=7))
    assert run(tmp_path, "chest_xray", "-i", source, "-d", "21") == 0
    dataset, described = converted(tmp_path, "Dataset021_ChestXray")
    assert [case.name for case in dataset.training] == ["CHNCXR_0002_1", "MCUCXR_0001_0"]
    assert [case.name for case in dataset.test] == ["CHNCXR_0003_1"]
    for case in dataset.training:
        assert pixels(case.label)[0].tolist() == [0, 0, 0, 1, 1, 1]
    assert described["labels"] == {"background": 0, "lung": 1} and described["spacing_known"] is False


def test_a_folder_of_another_layout_is_refused(tmp_path, capsys):
    (tmp_path / "x" / "pictures").mkdir(parents=True)
    assert run(tmp_path, "chest_xray", "-i", tmp_path / "x", "-d", "21") == 2
    assert "found pictures" in capsys.readouterr().err
