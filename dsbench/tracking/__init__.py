"""Mirrors of a run for people to browse: Weights & Biases, TensorBoard. The record is dsbench's own files."""
