"""The log in a run's folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """All that dsbench and Lightning log, and tracebacks, in the file `path`; times in UTC."""
    handler = _Handler(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(logging.DEBUG)
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


class _Handler(logging.FileHandler):
    """Says nothing more where it cannot be written to, on a full disk."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """What there is to say of the disk, the run itself says."""
