"""Predict with trained models: files and folders in, JSON lines, COCO results and pictures out; ONNX export."""
