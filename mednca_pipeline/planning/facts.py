"""What the rules for the networks need to know of one configuration."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Facts:
    """Facts about the preprocessed images. Tuples have `dim` entries: (H, W) or (S, H, W).

    n_image: image channels that a network sees, those of `adjacent_slices` on either side and of position included.
    position: sides of a typical image if the network sees the position of its voxels (runtime.position), else ().
    large_shape: 95th percentile of the shapes. extents: voxels that the smallest structure spans.
    spacing_mm: in voxels where the dataset's spacing is not known.
    """

    n_image: int
    n_outputs: int
    n_cases: int
    large_shape: tuple[float, ...]
    extents: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    memory_bytes: int
    adjacent_slices: int = 0
    position: tuple[float, ...] = ()

    def with_adjacent(self, slices: int) -> "Facts":
        return replace(self, n_image=self.n_image * (2 * slices + 1), adjacent_slices=slices)

    def with_position(self, typical: tuple[float, ...]) -> "Facts":
        return replace(self, n_image=self.n_image + len(typical), position=typical)

    @property
    def dim(self) -> int:
        return len(self.large_shape)
