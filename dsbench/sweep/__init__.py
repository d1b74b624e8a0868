"""Sweeps: many runs, planned first, trained side by side, collected into one table."""
