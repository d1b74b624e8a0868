"""Ways in which a run can break, put into its process by Hydra's own callbacks: dsbench has no hook for tests.

On the command line: +hydra.callbacks.breaking={_target_:breaking.Breaking,ways:{3:segfault}} with this folder on
PYTHONPATH. The run of that width breaks so in its second epoch.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Breaking(Callback):
    """`ways` has the name of a function of this module by the width of the runs that it breaks."""

    def __init__(self, ways: dict[int, str]) -> None:
        self.ways = ways

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra in the process of the run, before it plans."""
        way = self.ways.get(config.width)
        if way is not None:
            from dsbench import torchvision_ops

            torchvision_ops.ensure()  # before Lightning imports torchvision
            from dsbench.config import compose
            from dsbench.run import interrupts
            from dsbench.training.classifier import Classifier

            interrupts.GRACE_SECONDS = 0.5
            compose.compose = refuse  # the sweep has composed all that there is to compose

            start = Classifier.on_train_epoch_start

            def break_in_the_second_epoch(module: Classifier) -> None:
                start(module)
                if module.current_epoch == 1:
                    globals()[way]()

            Classifier.on_train_epoch_start = break_in_the_second_epoch  # type: ignore[method-assign]


def segfault() -> None:
    ctypes.string_at(0)


def die_once() -> None:
    """Leaves a mark of it: the file DIED."""
    mark = Path(os.environ["DIED"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def testify() -> None:
    """Breaks nothing; how many objects the collector leaves alone goes into the file FROZEN."""
    Path(os.environ["FROZEN"]).write_text(str(gc.get_freeze_count()))


def refuse(*_: Any) -> None:
    raise RuntimeError("composed again")


def fail() -> None:
    raise RuntimeError("broken by itself\nand more lines")


def hang() -> None:
    """In C code, for ever; no signal ends it."""
    mutex = ctypes.create_string_buffer(64)
    library = ctypes.CDLL(None)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def hoard() -> None:
    """Memory without end, in a control group of its own if there is one: path in the file memory_group."""
    group = Path(os.environ["MEMORY_GROUP"]) if "MEMORY_GROUP" in os.environ else None
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    hoarded = []
    while True:
        hoarded.append(bytearray(os.urandom(1 << 20) * 16))
        time.sleep(0.01)
