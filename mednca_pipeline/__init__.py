"""Automated medical image segmentation with Med-NCA for small hardware."""

__version__ = "0.1.0"
