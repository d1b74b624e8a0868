"""What networks cost when they run: times, memory, and why a layer is slow."""
