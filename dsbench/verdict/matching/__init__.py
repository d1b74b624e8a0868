"""Which cells may be compared, and what such groups are called."""
