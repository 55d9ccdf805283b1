"""Installs mednca_runtime alone: what prediction needs, without torch."""

from setuptools import find_packages, setup

setup(
    name="mednca_runtime",
    version="0.1.0",
    description="Readers, preprocessing, fire masks, ensemble and quality of mednca_pipeline, without torch",
    license="Apache-2.0",
    packages=find_packages(include=["mednca_runtime", "mednca_runtime.*"]),
    python_requires=">=3.11",
    install_requires=["numpy", "nibabel", "Pillow", "safetensors"],
    extras_require={"itk": ["SimpleITK"]},
)
