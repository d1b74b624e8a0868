"""Networks as descriptions: what they are, what they cost, how they are built and drawn."""
