"""Installs mednca_pipeline, dataset_conversion and the mednca_* commands.

`pip install mednca_pipeline` is light: what prediction needs. The extra `formats` adds SimpleITK for NRRD, MHA and
DICOM; `train` brings everything else; `cluster` has several machines share the work; `onnx` exports models for other
programs and predicts with a UNet without torch.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "mednca_pipeline" / "__init__.py").read_text(encoding="utf-8"))[1]
README = HERE / "README.md"

COMMANDS = (
    "convert",
    "check",
    "plan_and_preprocess",
    "train",
    "crossval",
    "predict",
    "evaluate",
    "plot",
    "export",
    "info",
    "install",
    "models",
    "view",
)
FORMATS = ["SimpleITK>=2.4"]
TRAIN = [
    *FORMATS,
    "torch>=2.13",
    "scipy>=1.14",
    "pandas>=2.2",
    "scikit-learn>=1.5",
    "monai>=1.5",
    "batchgenerators>=0.25.1",
    "acvl_utils>=0.2.5",
    "blosc2>=4.14.1",
    "matplotlib>=3.9",
    "threadpoolctl>=3.5",
    "filelock>=3.16",
    "psutil>=6; sys_platform == 'win32'",
]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20"]
CLUSTER = ["dask>=2025.1", "distributed>=2025.1"]
TEST = ["hypothesis>=6", "pytest>=8", "pytest-cov>=6", "pytest-xdist>=3.6", "coverage>=7", "ruff>=0.9", "mypy>=1.18"]

setup(
    name="mednca_pipeline",
    version=VERSION,
    description="Automated medical image segmentation with Med-NCA for small hardware",
    long_description=README.read_text(encoding="utf-8") if README.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(
        include=["mednca_pipeline", "mednca_pipeline.*", "dataset_conversion", "dataset_conversion.*"]
    ),
    package_data={"mednca_pipeline": ["py.typed", "inference/shipped_models/*.mednca", "viewing/web_page/**/*"]},
    install_requires=["numpy>=2.0", "nibabel>=5.3", "Pillow>=11", "safetensors>=0.5", "rich>=13", "tifffile>=2024.8"],
    extras_require={
        "formats": FORMATS,
        "train": TRAIN,
        "cluster": CLUSTER,
        "onnx": ONNX,
        "test": [*TRAIN, *CLUSTER, *ONNX, *TEST],
    },
    entry_points={
        "console_scripts": [f"mednca_{command} = mednca_pipeline.cli.{command}:main" for command in COMMANDS],
    },
)
