"""Headers of MetaImage and NRRD that ITK must not see, damaged voxels, and the segmentations of 3D Slicer."""

import re
import zlib

import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.formats.text_headers import segment_values
from mednca_pipeline.runtime.geometry import SpacingError
from mednca_pipeline.runtime.images import read_header, read_image, read_labels, stored_files

sitk = pytest.importorskip("SimpleITK")

META = {
    "ObjectType": "Image",
    "NDims": "3",
    "DimSize": "4 3 2",
    "ElementSpacing": "1 1 2",
    "ElementType": "MET_UCHAR",
    "ElementDataFile": "LOCAL",
}
NRRD = {"type": "uint8", "dimension": "3", "sizes": "4 3 2", "encoding": "raw"}
VOXELS = bytes(range(24))
ARRAY = np.arange(24).reshape(2, 3, 4)


def meta(path, voxels=VOXELS, **changes):
    fields = META | changes
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # the last
    path.write_bytes("".join(f"{key} = {value}\n" for key, value in fields.items()).encode() + voxels)
    return path


def nrrd(path, voxels=VOXELS, keys=None, **changes):
    fields = NRRD | {name.replace("_", " "): value for name, value in changes.items()}
    text = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in fields.items())
    path.write_bytes((text + "".join(f"{k}:={v}\n" for k, v in (keys or {}).items()) + "\n").encode() + voxels)
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_what_itk_may_see_is_read(tmp_path, compressed):
    voxels = zlib.compress(VOXELS) if compressed else VOXELS
    packed = {"CompressedData": "True", "CompressedDataSize": str(len(voxels))} if compressed else {}
    file = meta(tmp_path / "a.mha", voxels, **packed)
    assert (read_image(file).array[0] == ARRAY).all()
    assert (read_image(nrrd(tmp_path / "a.nrrd")).array[0] == ARRAY).all()
    assert read_header(tmp_path / "a.nrrd").shape == (2, 3, 4)


_DAMAGED_META = [
    *(("NDims", value) for value in ("-1", "100000", "0", "x", "3.5", "9" * 400)),
    *(("DimSize", value) for value in ("4 3", "4 3 -2", "4 3 2 1", "4 3 0", "nan 3 2", "4 3 1e300")),
    *(("ElementSpacing", value) for value in ("1 1", "inf 1 1", "1 1 1 1")),
    *(("TransformMatrix", value) for value in ("1 0 0 1", "1 " * 4000)),
    ("ElementType", "MET_OTHER"),
    ("ElementType", "%s%s%s"),
    ("ElementNumberOfChannels", "-3"),
    ("HeaderSize", "-5"),
    *(("ElementDataFile", value) for value in ("%s", "slice%03d.raw 1 9 1", "LIST", "../other.raw", "/etc/passwd")),
    ("ElementDataFile", "absent.raw"),
    ("ObjectType", "Tube"),
]
_DAMAGED_NRRD = [
    *(("dimension", value) for value in ("-1", "100", "x")),
    *(("sizes", value) for value in ("4 3", "4 3 -2", "4 3 1e300")),
    *(("type", value) for value in ("block of 3", "x")),
    ("encoding", "lzma"),
    *(("data_file", value) for value in ("LIST", "s%02d.raw 1 2 1", "/etc/passwd", "absent.raw")),
]


@pytest.mark.parametrize(
    ("make", "name", "field", "value"),
    [
        *((meta, "bad.mha", *damaged) for damaged in _DAMAGED_META),
        *((nrrd, "bad.nrrd", *damaged) for damaged in _DAMAGED_NRRD),
    ],
)
def test_a_damaged_header_is_an_error_with_its_field(tmp_path, make, name, field, value):
    file = make(tmp_path / name, **{field: value})
    for reader in (read_image, read_header):
        with pytest.raises(InputError, match=re.escape(name)) as raised:
            reader(file)
        assert field.replace("_", " ") in str(raised.value) or value in str(raised.value)


@pytest.mark.parametrize("make", [meta, nrrd])
def test_a_header_of_gigabytes_over_few_bytes_is_refused(tmp_path, make):
    sizes = {"DimSize": "2000 2000 2000"} if make is meta else {"sizes": "2000 2000 2000"}
    with pytest.raises(InputError, match="cannot hold"):
        read_image(make(tmp_path / ("large.mha" if make is meta else "large.nrrd"), **sizes))


def test_compressed_voxels_of_unknown_size_are_refused(tmp_path):
    """ITK would take them as uncompressed."""
    with pytest.raises(InputError, match="CompressedDataSize"):
        read_image(meta(tmp_path / "packed.mha", zlib.compress(VOXELS), CompressedData="True"))


def test_missing_voxels_are_an_error(tmp_path):
    for file in (meta(tmp_path / "short.mha", VOXELS[:-1]), nrrd(tmp_path / "short.nrrd", VOXELS[:-1])):
        with pytest.raises(InputError, match="24 bytes of voxels, found 23"):
            read_image(file)


@pytest.mark.parametrize("name", ["packed.mha", "packed.nrrd"])
def test_any_flipped_byte_of_compressed_voxels_is_an_error(tmp_path, name):
    values = np.random.default_rng(0).integers(0, 9, (4, 5, 6)).astype(np.uint8)
    file = tmp_path / name
    sitk.WriteImage(sitk.GetImageFromArray(values), str(file), useCompression=True)
    content = file.read_bytes()
    assert (read_image(file).array[0] == values).all()
    for place in range(len(content) - 60, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 255
        file.write_bytes(bytes(damaged))
        with pytest.raises(InputError, match=name):
            read_image(file)


def test_detached_voxels_are_read_and_belong_to_the_image(tmp_path):
    (tmp_path / "voxels.raw").write_bytes(VOXELS)
    headers = [nrrd(tmp_path / "a.nhdr", b"", data_file="voxels.raw")]
    headers.append(meta(tmp_path / "a.mhd", b"", ElementDataFile="voxels.raw"))
    for header in headers:
        assert (read_image(header).array[0] == ARRAY).all()
        assert stored_files(header) == [header, tmp_path / "voxels.raw"]
    (tmp_path / "voxels.raw").unlink()
    for header in headers:
        with pytest.raises(InputError, match=r"voxels\.raw.*no such file"):
            read_image(header)


SEGMENTS = {
    "Segment0_Name": "liver",
    "Segment0_LabelValue": "1",
    "Segment0_Layer": "0",
    "Segment1_Name": "tumour",
    "Segment1_LabelValue": "3",
    "Segment1_Layer": "0",
}


def test_segments_have_names_and_values(tmp_path):
    file = nrrd(tmp_path / "case.seg.nrrd", keys=SEGMENTS)
    assert segment_values(file) == {"liver": 1, "tumour": 3}
    assert (read_labels(file).array[0] == ARRAY).all()


def test_segments_that_overlap_are_an_error_with_their_name(tmp_path):
    file = nrrd(tmp_path / "case.seg.nrrd", keys=SEGMENTS | {"Segment1_Layer": "1"})
    with pytest.raises(InputError, match="tumour overlaps"):
        read_labels(file)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("spacings", "1 1 0", "spacings: 0 mm along axis 3"),
        ("spacings", "1 nan 1", "spacings: nan mm along axis 2"),
        ("spacings", "-1 1 1", "spacings: -1 mm along axis 1"),
        ("space_directions", "(1,0,0) (0,0,0) (0,0,2)", "space directions: spacing 0 mm along axis 2"),
    ],
)
def test_a_spacing_of_nrrd_that_cannot_be_is_named(tmp_path, field, value, said):
    space = {"space": "left-posterior-superior"} if "directions" in field else {}
    file = nrrd(tmp_path / "a.nrrd", **space, **{field: value})
    for reader in (read_image, read_header):
        with pytest.raises(SpacingError, match=said):
            reader(file)


@pytest.mark.parametrize("value", ["1 0 1", "1 1 -2"])
def test_a_spacing_of_metaimage_that_cannot_be_is_named(tmp_path, value):
    with pytest.raises(SpacingError, match="field ElementSpacing"):
        read_image(meta(tmp_path / "a.mha", ElementSpacing=value))


def test_units_of_nrrd_that_are_not_mm_are_refused_and_channels_have_no_spacing(tmp_path):
    placed = {"space": "left-posterior-superior", "space_directions": "(1,0,0) (0,1,0) (0,0,2)"}
    with pytest.raises(InputError, match="field space units: expected mm, found m, m"):
        read_image(nrrd(tmp_path / "a.nrrd", **placed, space_units='"m" "m" "mm"'))
    assert read_image(nrrd(tmp_path / "b.nrrd", **placed, space_units='"mm" "mm" "mm"')).spacing_mm == (2.0, 1.0, 1.0)
    colours = {"sizes": "3 4 2", "spacings": "nan 0.5 0.25", "kinds": "RGB-color domain domain"}
    assert read_image(nrrd(tmp_path / "c.nrrd", **colours)).spacing_mm == (0.25, 0.5)


def test_whether_a_header_says_which_way_the_axes_run(tmp_path):
    placed = {"space": "left-posterior-superior", "space_directions": "(1,0,0) (0,1,0) (0,0,2)"}
    matrix = {"TransformMatrix": "1 0 0 0 1 0 0 0 1"}
    for file, oriented in (
        (nrrd(tmp_path / "a.nrrd"), False),
        (nrrd(tmp_path / "b.nrrd", **placed), True),
        (meta(tmp_path / "a.mha"), False),
        (meta(tmp_path / "b.mha", **matrix), True),
    ):
        assert read_image(file).geometry.oriented == read_header(file).geometry.oriented == oriented
