"""Results shown elsewhere: offline runs uploaded, W&B's dashboards, the summary of a sweep."""
