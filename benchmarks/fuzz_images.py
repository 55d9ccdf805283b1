"""Small images of every format, to be damaged by benchmarks.fuzz."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import tifffile  # noqa: F401  # once, and not in each process
from PIL import Image

from benchmarks.fuzz import BYTES, TEXT, Kind
from mednca_pipeline.runtime.images import read_header, read_image

SHAPE = (6, 7, 5)  # (z, y, x)


def image_kinds(root: Path) -> list[Kind]:
    """A file of each format, in a folder of its own below `root`."""
    rng = np.random.default_rng(0)
    volume = np.round(rng.normal(100, 30, SHAPE)).astype(np.int16)
    picture = rng.integers(0, 255, (20, 16), dtype=np.uint8)
    kinds: list[Kind] = []

    def add(name: str, file: str, guarded: int | None = None, text: bool = False, read: str = "") -> None:
        kinds.append(Kind(name, root / name, file, _reader(read or file), TEXT if text else BYTES, guarded))

    def folder(name: str) -> Path:
        (root / name).mkdir(parents=True)
        return root / name

    nifti = nib.Nifti1Image(volume.T, np.diag([1.0, 2.0, 3.0, 1.0]))
    nib.save(nifti, folder("nii") / "a.nii")
    add("nii", "a.nii")
    nib.save(nifti, folder("nii.gz") / "a.nii.gz")
    add("nii.gz", "a.nii.gz", guarded=0)
    nib.save(nib.AnalyzeImage(volume.T, np.eye(4)), folder("analyze") / "a.img")
    add("analyze", "a.hdr")
    itk = sitk.GetImageFromArray(volume)
    for ending in ("nrrd", "mha"):
        for compressed in (True, False):
            name = f"{ending}{' compressed' if compressed else ''}"
            path = folder(name) / f"a.{ending}"
            sitk.WriteImage(itk, str(path), compressed)
            content = path.read_bytes()
            start = content.index(b"\n\n") + 2 if ending == "nrrd" else content.index(b"LOCAL\n") + 6
            add(name, path.name, guarded=start if compressed else None, text=True)
    for name, ending, voxels in (("mhd", "mhd", "zraw"), ("nhdr", "nhdr", "raw.gz")):
        sitk.WriteImage(itk, str(folder(name) / f"a.{ending}"), True)
        add(name, f"a.{ending}", text=True)
        add(f"{name} voxels", f"a.{voxels}", guarded=0, read=f"a.{ending}")
        kinds[-1] = Kind(f"{name} voxels", root / name, f"a.{voxels}", _reader(f"a.{ending}"), BYTES, 0)
    Image.fromarray(picture).save(folder("png") / "a.png")
    add("png", "a.png", guarded=0)
    Image.fromarray(np.stack([picture] * 3, -1)).quantize(16).save(folder("png palette") / "a.png")
    add("png palette", "a.png", guarded=0)
    for name, options in (("tif", {}), ("tif deflate", {"compression": "tiff_adobe_deflate"})):
        Image.fromarray(picture).save(folder(name) / "a.tif", **options)
        add(name, "a.tif")
    Image.fromarray(picture).save(folder("jpg") / "a.jpg")
    add("jpg", "a.jpg")
    Image.fromarray(picture).save(folder("bmp") / "a.bmp")
    add("bmp", "a.bmp")
    _write_series(folder("dicom"), volume)
    for name, file in (("dicom", "s2.dcm"), ("dicom first", "s0.dcm"), ("dicom last", f"s{len(volume) - 1}.dcm")):
        kinds.append(Kind(name, root / "dicom", file, _read_series))
    return kinds


def _reader(file: str) -> Any:
    def read(folder: Path) -> Any:
        header = read_header(folder / file)
        image = read_image(folder / file)
        return image.array, image.spacing_mm, header.shape

    return read


def _read_series(folder: Path) -> Any:
    image = read_image(folder)
    return image.array, image.spacing_mm


def _write_series(folder: Path, volume: np.ndarray) -> None:
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(volume):
        image = sitk.GetImageFromArray(plane[None])
        for key, value in {
            "0008|0060": "MR",
            "0020|000e": "1.2.3.1",
            "0020|000d": "1.2.3",
            "0008|0018": f"1.2.3.1.{index + 1}",
            "0020|0013": str(index + 1),
            "0020|0032": f"0\\0\\{2 * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"s{index}.dcm"))
        writer.Execute(image)
