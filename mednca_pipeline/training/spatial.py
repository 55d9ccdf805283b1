"""Rotation and scaling of a sample: batchgenerators' SpatialTransform, drawn alike, in a fraction of its time."""

import math
import warnings

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import AbstractTransform
from torch.nn import functional as F

ANGLE_2D, ANGLE_3D = math.radians(20), math.radians(15)
SCALES = (0.7, 1.4)  # above 1 more is seen
FLAT = 3.0  # a first axis this much shorter than the longest is taken for thick slices: no rotation out of the plane


class RotateAndScale(AbstractTransform):
    """Turns and scales samples about their centre, each with probability `p`; the others are left untouched.

    Images are interpolated cubically (linearly in 3D, where cubic costs ten times as much), labels take the nearest.
    Edges are replicated. It draws from NumPy's global generator, in batchgenerators' order.
    """

    def __init__(self, image_size: tuple[int, ...], p: float) -> None:
        self.p = p
        angle = ANGLE_2D if len(image_size) == 2 else ANGLE_3D
        flat = max(image_size) > FLAT * image_size[0]
        # One angle in 2D; in 3D one about each axis, the first of which turns slices in their plane.
        self.angles = (angle,) if len(image_size) == 2 else (angle, 0.0, 0.0) if flat else (angle,) * 3

    def __call__(self, **sample: np.ndarray) -> dict[str, np.ndarray]:
        """data: (B, C, *spatial), seg: (B, 1, *spatial), both float32."""
        for index in range(len(sample["data"])):
            matrix = self._draw()
            if matrix is not None:
                for key, mode in (("data", "bicubic" if len(matrix) == 2 else "bilinear"), ("seg", "nearest")):
                    sample[key][index] = transformed(sample[key][index], matrix, mode)
        return sample

    def _draw(self) -> np.ndarray | None:
        """(dim, dim): from places in the result to places in the sample, both from the centre; None for neither."""
        matrix = None
        if np.random.uniform() < self.p:
            matrix = rotation([_drawn_angle(most) for most in self.angles])
        if np.random.uniform() < self.p:
            low = np.random.random() < 0.5
            scale = np.random.uniform(SCALES[0], 1) if low else np.random.uniform(1, SCALES[1])
            dim = 2 if len(self.angles) == 1 else 3
            matrix = scale * (np.eye(dim) if matrix is None else matrix)
        return matrix


def _drawn_angle(most: float) -> float:
    np.random.uniform()  # batchgenerators asks per axis whether to rotate at all, and always does
    return np.random.uniform(-most, most)


def rotation(angles: list[float]) -> np.ndarray:
    """(2, 2) of one angle, (3, 3) of the angles about each axis."""
    if len(angles) == 1:
        return _turn(angles[0], 2, 0, 1).T
    about_first, about_second, about_third = angles
    turns = (_turn(about_first, 3, 1, 2), _turn(about_second, 3, 2, 0), _turn(about_third, 3, 0, 1))
    return (turns[0] @ turns[1] @ turns[2]).T


def _turn(angle: float, dim: int, first: int, second: int) -> np.ndarray:
    """In the plane of two axes."""
    matrix, cos, sin = np.eye(dim), math.cos(angle), math.sin(angle)
    matrix[first, first], matrix[first, second], matrix[second, first], matrix[second, second] = cos, -sin, sin, cos
    return matrix


def transformed(array: np.ndarray, matrix: np.ndarray, mode: str) -> np.ndarray:
    """array: float32 (C, *spatial) -> the same shape; place p from the centre shows what lies at matrix @ p.

    mode: "bicubic" (2D), "bilinear" (in 3D, too) or "nearest", as torch's grid_sample calls them.
    """
    sides = np.array(array.shape[1:]) - 1.0
    # torch counts axes from the last, and places from -1 to 1 between the centres of the outermost voxels.
    in_halves = matrix * sides / np.maximum(sides, 1)[:, None]
    theta = np.concatenate([in_halves[::-1, ::-1], np.zeros((len(sides), 1))], axis=1)
    tensor = torch.from_numpy(np.ascontiguousarray(array))[None]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Since version 1.3.0, affine_grid")  # of an axis of one voxel: it stays at 0
        grid = F.affine_grid(torch.from_numpy(theta)[None].float(), list(tensor.shape), align_corners=True)
    return F.grid_sample(tensor, grid, mode=mode, padding_mode="border", align_corners=True)[0].numpy()
