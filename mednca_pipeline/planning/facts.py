"""What the rules for the networks of one configuration need to know."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """dim axes each: (H, W) or (S, H, W).

    large_shape: 95th percentile of the preprocessed shapes. extents: working voxels of the smallest structure.
    spacing_mm: of the preprocessed images; in pixels where the dataset's is not known.
    """

    n_image: int
    n_outputs: int
    n_cases: int
    large_shape: tuple[float, ...]
    extents: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    memory_bytes: int

    @property
    def dim(self) -> int:
        return len(self.large_shape)
