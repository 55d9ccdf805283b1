"""Elements of a DICOM file that claim more than the file holds are found before GDCM allocates it."""

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.formats.dicom_elements import elements_fit
from mednca_pipeline.runtime.images import read_image
from tests.dicom_series import write_series


def explicit(group, element, kind, value, length=None):
    size = (len(value) if length is None else length).to_bytes(2, "little")
    return group.to_bytes(2, "little") + element.to_bytes(2, "little") + kind + size + value


def implicit(group, element, value, length=None):
    size = (len(value) if length is None else length).to_bytes(4, "little")
    return group.to_bytes(2, "little") + element.to_bytes(2, "little") + size + value


@pytest.mark.parametrize(("length", "fits"), [(None, True), (5, False), (0x70000000, False), (0xFFFFFFFF, True)])
def test_the_length_of_an_implicit_element(tmp_path, length, fits):
    meta = bytes(128) + b"DICM" + explicit(2, 0x10, b"UI", b"1.2.840.10008.1.2\0")
    (tmp_path / "a").write_bytes(meta + implicit(8, 0x60, b"MR") + implicit(0x10, 0x10, b"Doe^", length))
    assert elements_fit(tmp_path / "a") is fits


@pytest.mark.parametrize(("length", "fits"), [(None, True), (60, False)])
def test_the_length_of_an_explicit_element_without_a_preamble(tmp_path, length, fits):
    (tmp_path / "a").write_bytes(explicit(8, 0x60, b"CS", b"MR") + explicit(0x10, 0x10, b"PN", b"Doe^", length))
    assert elements_fit(tmp_path / "a") is fits


def test_a_slice_whose_element_claims_gigabytes_is_named(tmp_path):
    write_series(tmp_path / "scan")
    file = tmp_path / "scan" / "IM0001.dcm"
    assert elements_fit(file)
    content = file.read_bytes()
    name = content.index(b"Doe^Jane")
    file.write_bytes(content[: name - 4] + (0x70000000).to_bytes(4, "little") + content[name:])
    with pytest.raises(InputError, match=r"a damaged or cut off file, IM0001\.dcm"):
        read_image(tmp_path / "scan")
