"""NIfTI and Analyze files as people have them: damaged, misnamed, declaring too much."""

import gzip
import os
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.formats import limits
from mednca_pipeline.runtime.geometry import SpacingError
from mednca_pipeline.runtime.images import read_header, read_image, read_labels, stored_files

ARRAY = np.arange(24, dtype=np.int16).reshape(4, 3, 2)


def write(path, array=ARRAY):
    nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1.0, 2.0, 1.0])), path)
    return path


def declaring(path, sides, compressed):
    """A file with voxels of a small array, whose header declares `sides`."""
    content = bytearray(write(path.with_name("plain.nii")).read_bytes())
    content[40:48] = np.array([3, *sides], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(content)) if compressed else bytes(content))
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_of_gigabytes_over_few_bytes_allocates_nothing(tmp_path, ending):
    file = declaring(tmp_path / f"large{ending}", (1500, 1500, 1500), ending.endswith("gz"))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"large.*cannot hold"):
        read_image(file)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_file_that_unpacks_to_more_than_it_declares_is_stopped(tmp_path):
    content = write(tmp_path / "plain.nii").read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(content + bytes(100_000_000), 9))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bomb.*as the header declares, found more"):
        read_image(tmp_path / "bomb.nii.gz")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_voxels_that_are_cut_off_are_counted(tmp_path):
    file = declaring(tmp_path / "cut.nii", (40, 30, 20), False)
    with pytest.raises(InputError, match=r"cut\.nii: expected 48,352 bytes, as the header declares, found 400"):
        read_image(file)


@pytest.mark.parametrize(
    ("name", "remedy"), [("a.nii.gz", r"Rename it to \.nii\."), ("a.nii", r"Rename it to \.nii\.gz")]
)
def test_a_name_that_does_not_say_whether_the_file_is_compressed(tmp_path, name, remedy):
    content = write(tmp_path / "plain.nii").read_bytes()
    (tmp_path / name).write_bytes(content if name.endswith("gz") else gzip.compress(content))
    for reader in (read_image, read_header):
        with pytest.raises(InputError, match=remedy):
            reader(tmp_path / name)


@pytest.mark.parametrize("padding", [b"", bytes(512)])
def test_several_gzip_members_and_zeros_at_the_end_are_read(tmp_path, padding, monkeypatch):
    monkeypatch.setattr(limits, "_PIECE", 64)
    content = write(tmp_path / "plain.nii").read_bytes()
    (tmp_path / "parts.nii.gz").write_bytes(gzip.compress(content[:200]) + gzip.compress(content[200:]) + padding)
    assert (read_image(tmp_path / "parts.nii.gz").array == read_image(tmp_path / "plain.nii").array).all()


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.AnalyzeImage])
def test_header_and_voxels_in_two_files(tmp_path, kind):
    """Analyze has no orientation: as in every program, the first axis runs to the left."""
    nib.save(kind(ARRAY, np.diag([-1.0, 1.0, 2.0, 1.0])), tmp_path / "pair.img")
    expected = nib.as_closest_canonical(nib.load(tmp_path / "pair.hdr"))
    in_lps = np.asarray(expected.dataobj)[::-1, ::-1].transpose(2, 1, 0)
    assert (read_labels(tmp_path / "pair.hdr").array[0] == in_lps).all()
    assert read_header(tmp_path / "pair.hdr").spacing_mm == (2.0, 1.0, 1.0)
    assert stored_files(tmp_path / "pair.hdr") == [tmp_path / "pair.hdr", tmp_path / "pair.img"]
    (tmp_path / "pair.img").unlink()
    with pytest.raises(InputError, match=r"pair\.hdr.*no file pair\.img beside it"):
        read_image(tmp_path / "pair.hdr")


def test_a_pipe_is_an_error_and_not_a_hang(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this system")
    os.mkfifo(tmp_path / "pipe.nii.gz")
    with pytest.raises(InputError, match="a pipe or a device"):
        read_image(tmp_path / "pipe.nii.gz")


def with_pixdim(path, values, codes=(0, 0), units=2):
    """A file whose stored spacings are `values`, which nibabel would not write."""
    image = nib.Nifti1Image(ARRAY, np.diag([-1.0, -1.0, 2.0, 1.0]))
    image.set_sform(None if codes[0] == 0 else image.affine, codes[0])
    image.set_qform(image.affine, codes[1])
    nib.save(image, path.with_name("plain.nii"))
    content = bytearray(path.with_name("plain.nii").read_bytes())
    content[80:92], content[123] = np.array(values, "<f4").tobytes(), units
    path.write_bytes(gzip.compress(bytes(content)) if path.name.endswith("gz") else bytes(content))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("codes", [(0, 0), (0, 1)])
@pytest.mark.parametrize("value", [0.0, -1.5, np.nan, np.inf])
def test_a_spacing_that_cannot_be_is_not_corrected_in_silence(tmp_path, name, codes, value):
    file = with_pixdim(tmp_path / name, (1.0, 1.0, value), codes)
    for reader in (read_image, read_header):
        with pytest.raises(SpacingError) as error:
            reader(file)
        assert error.value.where == str(file) and error.value.found == f"pixdim {value:g} along axis 3 of the file"
        assert error.value.expected == "a positive spacing along each axis" and "header" in error.value.remedy


def test_a_useless_pixdim_does_not_matter_where_there_is_an_sform(tmp_path):
    assert read_header(with_pixdim(tmp_path / "a.nii", (1.0, 1.0, 0.0), (1, 0))).spacing_mm == (2.0, 1.0, 1.0)


@pytest.mark.parametrize(("units", "scale"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_units_of_the_header_are_taken_at_their_word(tmp_path, units, scale):
    file = with_pixdim(tmp_path / "a.nii", (1.0, 1.0, 2.0), units=units)
    assert read_header(file).spacing_mm == pytest.approx((2 * scale, scale, scale))
