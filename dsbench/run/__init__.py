"""One run: its identity, its folder, and its course from configuration to result."""
