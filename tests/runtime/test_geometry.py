"""Axis permutation and flips to LPS, and back."""

import itertools
import json
from dataclasses import asdict

import numpy as np
import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.runtime.geometry import Geometry, differences, geometry_from_affine, make_geometry, plain_geometry
from mednca_pipeline.runtime.records import from_dict

SIGNS = list(itertools.product((1, -1), repeat=3))


def signed_permutation(permutation, signs):
    """(4, 4): file axis n runs along world axis permutation[n] with the given sense; x, y, z are 1, 2, 3 mm apart."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(permutation, signs, strict=True)):
        affine[world, axis] = sign * (world + 1)
    affine[:3, 3] = (10, 20, 30)
    return affine


@pytest.mark.parametrize("permutation", list(itertools.permutations(range(3))))
def test_every_orientation_gives_the_same_lps_array(permutation):
    world_shape = np.array((4, 5, 6))  # along x, y, z
    for signs in SIGNS:
        affine = signed_permutation(permutation, signs)
        geometry = geometry_from_affine(world_shape[list(permutation)], affine)
        indices = np.indices(geometry.file_shape).reshape(3, -1)
        positions = (affine[:3, :3] @ indices + affine[:3, 3:]).T.reshape(*geometry.file_shape, 3)
        array = geometry.from_file_axes(positions)  # (z, y, x, 3): every voxel holds its LPS position
        assert array.shape == (6, 5, 4, 3)
        assert geometry.spacing_mm == (3.0, 2.0, 1.0)
        assert (np.diff(array[..., 0], axis=2) == 1).all()
        assert (np.diff(array[..., 1], axis=1) == 2).all()
        assert (np.diff(array[..., 2], axis=0) == 3).all()
        assert np.allclose(geometry.origin, array[0, 0, 0])
        assert np.allclose(geometry.direction, np.eye(3)[:, ::-1])
        assert (geometry.to_file_axes(array) == positions).all()


def test_oblique_goes_to_the_closest_axes_and_keeps_its_voxels():
    angle = np.deg2rad(30)
    affine = np.eye(4)
    affine[:2, :2] = [[-np.cos(angle), np.sin(angle)], [-np.sin(angle), -np.cos(angle)]]
    geometry = geometry_from_affine((3, 4, 5), affine)
    assert geometry.axes == (2, 1, 0)
    assert geometry.flips == (False, True, True)
    voxels = np.arange(60).reshape(3, 4, 5)
    assert (geometry.from_file_axes(voxels) == voxels.transpose(2, 1, 0)[:, ::-1, ::-1]).all()


def test_shear_is_accepted_and_spacing_is_the_length_of_a_column():
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 4.0  # a gantry tilt
    geometry = geometry_from_affine((4, 5, 6), affine)
    assert geometry.spacing_mm == (5.0, 1.0, 1.0)
    assert np.allclose(geometry.file_affine, affine)


@pytest.mark.parametrize("single", [0, 1, 2])
def test_a_slice_is_2d_whatever_axis_it_is_missing(single):
    shape = [4, 5, 6]
    shape[single] = 1
    geometry = geometry_from_affine(shape, np.diag([1.0, 2.0, 3.0, 1.0]))
    rest = [axis for axis in (2, 1, 0) if axis != single]
    assert geometry.shape == tuple(shape[axis] for axis in rest)
    assert geometry.spacing_mm == tuple(float(axis + 1) for axis in rest)
    array = np.arange(np.prod(geometry.shape)).reshape(geometry.shape)
    assert geometry.to_file_axes(array).shape == tuple(shape)
    assert (geometry.from_file_axes(geometry.to_file_axes(array)) == array).all()


def test_a_single_row_stays_3d():
    assert geometry_from_affine((4, 1, 1), np.eye(4)).shape == (1, 1, 4)


def test_channels_after_the_file_axes_stay_there():
    geometry = geometry_from_affine((4, 5, 6), signed_permutation((2, 0, 1), (1, -1, 1)))
    array = np.random.default_rng(0).random((4, 5, 6, 2))
    assert geometry.from_file_axes(array).shape == (4, 6, 5, 2)
    assert (geometry.to_file_axes(geometry.from_file_axes(array)) == array).all()


def test_wrong_shape_is_not_written():
    with pytest.raises(ValueError, match="shape"):
        plain_geometry((4, 5, 6)).to_file_axes(np.zeros((6, 5, 4)))


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan)])
def test_useless_headers_are_input_errors(matrix):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    with pytest.raises(InputError, match="positive spacing|three independent axis directions"):
        geometry_from_affine((4, 5, 6), affine)


def test_a_slice_without_thickness_gets_one():
    geometry = geometry_from_affine((4, 5, 1), np.diag([0.5, 0.25, 0.0, 1.0]))
    assert geometry.spacing_mm == (0.25, 0.5)
    assert geometry.file_spacing_mm == (0.5, 0.25, 1.0)


def test_json_round_trip():
    geometry = geometry_from_affine((4, 5, 6), signed_permutation((1, 2, 0), (-1, 1, -1)), {"pixdim": (1.0, 0.1)})
    assert from_dict(Geometry, json.loads(json.dumps(asdict(geometry)))) == geometry


def test_plain_geometry_is_lps_as_the_array_lies():
    geometry = plain_geometry((3, 4, 5), (3.0, 2.0, 1.0))
    assert (geometry.shape, geometry.spacing_mm) == ((3, 4, 5), (3.0, 2.0, 1.0))
    array = np.arange(60).reshape(3, 4, 5)
    assert (geometry.from_file_axes(array.T) == array).all()
    assert plain_geometry((4, 5)).spacing_mm == (1.0, 1.0)


def test_differences_name_what_differs_and_tolerate_what_is_stated():
    base = make_geometry((4, 5, 6), (1, 1, 2), (0, 0, 0), np.eye(3))
    close = make_geometry((4, 5, 6), (1.0005, 1, 2), (0.05, 0, 0), np.eye(3))
    assert differences(close, base) == []
    far = make_geometry((4, 5, 6), (1.01, 1, 2), (0.2, 0, 0), np.eye(3))
    assert [d.quantity for d in differences(far, base)] == ["spacing", "origin"]
    turned = np.array([[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]])
    assert [d.quantity for d in differences(make_geometry((4, 5, 6), (1, 1, 2), (0, 0, 0), turned), base)] == [
        "direction"
    ]
    (shape,) = differences(make_geometry((4, 5, 7), (1, 1, 2), (0, 0, 0), np.eye(3)), base)
    assert (shape.quantity, shape.found, shape.expected) == ("shape", "(7, 5, 4)", "(6, 5, 4)")


def test_the_same_voxels_stored_flipped_do_not_differ():
    straight = make_geometry((4, 5, 6), (1, 1, 2), (0, 0, 0), np.eye(3))
    flipped = make_geometry((4, 5, 6), (1, 1, 2), (3, 0, 0), np.diag([-1, 1, 1]))
    assert straight != flipped
    assert differences(flipped, straight) == []
