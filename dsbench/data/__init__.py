"""Image sets: what each one is, where it comes from, and the checked arrays training reads."""
