"""Pictures of results: one a module, each a pure function from tables to a matplotlib figure."""
