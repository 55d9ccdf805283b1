"""Trained models for other machines and programs: bundles, and ONNX graphs with what describes them."""
