"""DICOM series made by SimpleITK, for tests."""

import numpy as np
import pytest

PATIENT = "Doe^Jane"
UID = "1.2.826.0.1.3680043.2.1125.1"


def write_series(folder, positions=(0, 3, 6, 9), uid=f"{UID}.1", prefix="IM", orientation=(1, 0, 0, 0, 1, 0), tags=()):
    """Slices of 5 x 4 pixels of 0.5 x 0.25 mm (columns x rows apart); slice n holds 100 n, 100 n + 1, ... -> (n, 4, 5).

    positions: z per slice in mm, or (x, y, z).
    """
    sitk = pytest.importorskip("SimpleITK")
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    arrays = []
    for number, position in enumerate(positions):
        array = (100 * number + np.arange(20)).reshape(1, 4, 5).astype(np.int16)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.5, 0.25, 3.0))
        place = (-10.0, -20.0, position) if np.isscalar(position) else position
        values = {
            "0008|0060": "MR",
            "0010|0010": PATIENT,
            "0010|0020": "PID-4711",
            "0020|000e": uid,
            "0020|000d": f"{UID}.0",
            "0008|0018": f"{uid}.{number + 1}",
            "0020|0013": str(number + 1),
            "0020|0032": "\\".join(f"{value:.6f}" for value in place),
            "0020|0037": "\\".join(str(value) for value in orientation),
            **dict(tags),
        }
        for key, value in values.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{prefix}{number:04d}.dcm"))
        writer.Execute(image)
        arrays.append(array[0])
    return np.stack(arrays)
