"""The one exception that is the user's to mend."""


class InputError(Exception):
    """Something the user typed or provided is wrong: one line that says what, and what would be right.

    The command line prints the line alone and exits with code 2 (see dsbench.cli.entry).
    """


class FailureError(Exception):
    """Something failed that is not the fault of the input."""
