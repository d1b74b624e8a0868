"""Trained networks in the runtimes that ship them: written as files, quantised to int8, opened."""
