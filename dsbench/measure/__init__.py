"""What networks cost when they run: times, memory, ONNX Runtime, and why a layer is slow."""
