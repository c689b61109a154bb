"""Predict with trained models: files and folders in, JSON lines, COCO results and overlays out; ONNX export."""
