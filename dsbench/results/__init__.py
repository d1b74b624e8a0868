"""Results on disk, read again: records, and the tables of runs and cells made of them."""
