"""One run as the command line sees it: quiet libraries, a view in the terminal, a result."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from dsbench import torchvision_ops
from dsbench.config.compose import Composed
from dsbench.process import wait_briefly

if TYPE_CHECKING:
    from dsbench.run.progress import Progress


def run(composed: Composed) -> dict[str, Any]:
    """Train and test what `composed` says; returns the record as in result.json.

    Raises InputError before anything is written where the configuration or the data are wrong.
    """
    wait_briefly()  # before torch is imported
    from dsbench.run.plan import plan

    _log_to_terminal()
    planned = plan(composed)
    torchvision_ops.ensure()  # before Lightning imports torchvision
    from dsbench.run.execute import execute  # Lightning takes two seconds to import, an error should not

    _quieten_lightning()
    return execute(planned, _progress(composed.config.progress))


def _progress(mode: str) -> Progress:
    """The view of a run: its own, or in a sweep's process the sweep's."""
    from dsbench.run.progress import Progress
    from dsbench.sweep import worker

    if worker.inside():
        from dsbench.sweep.reporter import Reporter

        return Reporter()
    return Progress(mode)


def _log_to_terminal() -> None:
    """dsbench's own messages go to standard error, without ornament."""
    log = logging.getLogger("dsbench")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.INFO)
        log.addHandler(handler)


def _quieten_lightning() -> None:
    """Lightning's warnings go to the run's log alone; importing it installs handlers, so this comes after."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = False
        logging.getLogger(name).setLevel(logging.WARNING)
    # Lightning 2.6 asks torch 2.13 a question in a way that torch is about to drop; nothing a user can do.
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
