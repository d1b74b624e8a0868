"""What networks cost when they run: latency, training steps and memory, measured on a device."""
