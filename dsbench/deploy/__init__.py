"""A network on a small device: its ONNX file, its int8 form, and ONNX Runtime that computes with them."""
