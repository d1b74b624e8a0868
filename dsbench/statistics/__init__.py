"""Comparisons over seeds: pure functions of arrays."""
