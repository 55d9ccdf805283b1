"""mednca_predict: the memory that an image may take."""

import pytest

from ..inference.tiny_model import make_image, write_image
from .predicting import predict


def test_what_needs_more_than_the_memory_is_refused_before_it_is_allocated(workspace, tmp_path, capsys):
    """15 times the spacing of training along y and x: 5 x 14 x 11 voxels become 5 x 210 x 165."""
    write_image(tmp_path / "in" / "good.nii.gz", make_image())
    write_image(tmp_path / "in" / "wide.nii.gz", make_image(), spacing=(2.0, 15.0, 15.0))
    assert predict(workspace, tmp_path / "in", tmp_path / "out", "--memory", "1MB") == 2
    assert (tmp_path / "out" / "good.nii.gz").is_file() and not (tmp_path / "out" / "wide.nii.gz").exists()
    said = capsys.readouterr().err
    needed = 4 * (5 * 14 * 11 * 2 + 4 * 5 * 210 * 165)
    for text in (
        str(tmp_path / "in" / "wide.nii.gz"),
        "5 x 14 x 11 voxels that become 5 x 210 x 165 after resampling",
        f"which need {needed / 1e6:.3g} MB or more",
        "at most 1 MB of memory, as given",
        "--memory",
    ):
        assert text in said
    assert predict(workspace, tmp_path / "in", tmp_path / "out", "--memory", "10 cats") == 2
    assert "such as 4GB" in capsys.readouterr().err


def test_an_image_that_is_too_large_as_it_is_is_refused_by_its_header(workspace, tmp_path, monkeypatch, capsys):
    from mednca_pipeline.inference import cases

    write_image(tmp_path / "in" / "large.nii.gz", make_image(shape=(50, 60, 100)))
    monkeypatch.setattr(cases, "read_image", lambda files: pytest.fail("read"))
    assert predict(workspace, tmp_path / "in", tmp_path / "out", "--memory", "1MB") == 2
    assert "found 50 x 60 x 100 voxels, which need 1.2 MB or more" in capsys.readouterr().err


def test_running_out_of_memory_is_no_fault_of_ours(workspace, tmp_path, monkeypatch, capsys):
    from mednca_pipeline.inference import cases

    def fails(*_):
        raise MemoryError("Unable to allocate 1.00 TiB")

    write_image(tmp_path / "in" / "a.nii.gz", make_image())
    monkeypatch.setattr(cases, "read_image", fails)
    assert predict(workspace, tmp_path / "in", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "too little memory (Unable to allocate 1.00 TiB)" in said and "-np 0" in said
