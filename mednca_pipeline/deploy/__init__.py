"""Trained models for other programs: ONNX graphs and what describes them."""
