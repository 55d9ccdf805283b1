"""Pictures that are stored turned or mirrored: tag Orientation of TIFF and EXIF.

Images and masks alike are read as a viewer shows them, so that a mask drawn on the picture fits it.
"""

import numpy as np

TAG = 274
UPRIGHT = 1
_SIDEWAYS = (5, 6, 7, 8)  # rows of the stored array are columns of the picture
_FLIPS: dict[int, tuple[int, ...]] = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}  # after the transpose


def as_shown(array: np.ndarray, orientation: int) -> np.ndarray:
    """(y, x, ...) as stored -> (y, x, ...) as shown; a view. A value beyond 1 to 8 is taken as upright."""
    shown = array.swapaxes(0, 1) if orientation in _SIDEWAYS else array
    return np.flip(shown, _FLIPS.get(orientation, ()))


def shape_as_shown(shape: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(y, x) as stored -> (y, x) as shown."""
    return shape[::-1] if orientation in _SIDEWAYS else shape
