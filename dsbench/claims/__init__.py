"""What the published studies claim, held against what a sweep measured."""
