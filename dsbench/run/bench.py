"""The running costs of a finished run's network, measured and written into the run's record."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dsbench.chips.files import Deployable
from dsbench.chips.measure import answered, on_chips
from dsbench.chips.names import chips
from dsbench.chips.onnxruntime import OnnxRuntime
from dsbench.measure.by_turns import running_costs
from dsbench.measure.timing import LIMIT_SECONDS
from dsbench.run.lock import Owner, locked
from dsbench.run.mirror import mirror_again, shown_offline
from dsbench.run.plan import Plan
from dsbench.run.progress import Progress
from dsbench.run.record import Record
from dsbench.run.trained import Trained, add_to_record, load

log = logging.getLogger("dsbench")


def complete(plan: Plan, progress: Progress, record: Record) -> Record:
    """Measure the run of `record` and write the measurements into it; where that fails, log it and leave it as it is.

    Whoever calls it holds the run's lock.
    """
    import torch

    progress.measuring()
    try:
        run = load(plan.folder.path)
        return add_to_record(run, _measured(run))
    except Exception as error:  # whatever goes wrong here, the run is done
        log.warning("the network could not be measured, its record stays without: %s", error)
        log.debug("measuring ended with an error", exc_info=True)
        return record
    finally:
        torch.set_num_threads(plan.place.threads)


def _measured(run: Trained) -> dict[str, Any]:
    """The running costs of `run`, and what ONNX Runtime says of it where that is installed."""
    (costs,) = running_costs(lambda: [run.subject()], LIMIT_SECONDS)
    if OnnxRuntime.missing():
        return costs.record
    with tempfile.TemporaryDirectory(prefix="dsbench-") as scratch:
        asked = [Deployable(run.run_id, run.network, run)], chips([OnnxRuntime.runtime])
        (said,) = on_chips(*asked, Path(scratch), LIMIT_SECONDS, repeats=1)
    return costs.record | {"chips": answered(said)}


def keep(run: Trained, measured: dict[str, Any], waiting: Callable[[Path, Owner | None], None]) -> None:
    """Add `measured` to the record of `run`, and to its offline run in W&B where there is one.

    `waiting` is called with the run's folder and its owner while another process has it. Raises InputError where the
    run has been trained again since it was loaded.
    """
    with locked(run.folder.path, waiting):
        completed = add_to_record(run, measured)
        if shown_offline(run.config, run.folder, run.run_id):
            mirror_again(run.config, run.folder, completed)
