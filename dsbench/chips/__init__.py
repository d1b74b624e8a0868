"""Chips and runtimes that trained networks are sent to: what each counts, what it times, and how right it answers."""
