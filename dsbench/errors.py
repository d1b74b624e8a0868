"""Errors that are told in one line: what is the user's to mend, what is not, and what any other one comes down to."""


class InputError(Exception):
    """Something the user typed or provided is wrong: one line that says what, and what would be right.

    The command line prints the line alone and exits with code 2 (see dsbench.cli.hydra).
    """


class FailureError(Exception):
    """Something failed that is not the fault of the input."""


def first_line(error: BaseException) -> str:
    """What `error` says first; what it is where it says nothing."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
