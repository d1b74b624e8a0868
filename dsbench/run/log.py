"""The log of a run, run.log: all that dsbench and Lightning say while the process has the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

_about: ContextVar[Path | None] = ContextVar("about", default=None)  # the log of the run that is spoken of


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """All that dsbench and Lightning log, and tracebacks, in the file `path`, but what is `about` another run.

    Times are in UTC. Raises OSError where the file cannot be opened.
    """
    handler = _Handler(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.DEBUG)
    handler.addFilter(lambda record: _about.get() in (None, path))
    loggers = [logging.getLogger(name) for name in ("dsbench", "pytorch_lightning", "lightning_fabric")]
    loggers[0].setLevel(logging.DEBUG)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Within, what this thread logs is about the run whose log is at `path`, and in no other run's."""
    token = _about.set(path)
    try:
        yield
    finally:
        _about.reset(token)


class _Handler(logging.FileHandler):
    """Says nothing more where it cannot be written to, on a full disk."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """What there is to say of the disk, the run itself says."""
