"""What lengths and volumes are counted in."""

from typing import Literal

VoxelUnit = Literal["pixels", "voxels"]
DistanceUnit = Literal["mm", "pixels", "voxels"]


def voxel_unit(dimensions: int) -> VoxelUnit:
    """Of an image of 2 or 3 spatial axes."""
    return "pixels" if dimensions == 2 else "voxels"


def distance_unit(spacing_known: bool, dimensions: int) -> DistanceUnit:
    """mm where the spacing is known."""
    return "mm" if spacing_known else voxel_unit(dimensions)
