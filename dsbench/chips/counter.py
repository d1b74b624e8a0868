"""What a chip counts of networks that no run has trained: asked in a process of its own, each network once.

Initial weights and a random image will do: what is counted follows from a network's shapes. Vela compresses weights, so
its flash and cycles differ a little once they are trained.
"""

from __future__ import annotations

import multiprocessing
import platform
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dsbench import torchvision_ops
from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable
from dsbench.chips.measure import counts, reason
from dsbench.errors import FailureError, InputError, first_line
from dsbench.measure.store import Store
from dsbench.network.description import Network
from dsbench.process import end_quickly, errors_into, importing_alike, wait_briefly, without_interrupts, without_main

_PACKAGES = ("dsbench", "torch")  # by which a file is written


@contextmanager
def counter(chip: Chip, outputs: Path) -> Iterator[Counter]:
    """What asks `chip`, within; answers are kept in `<outputs>/chips`, refusals too."""
    with ExitStack() as process:
        yield Counter(chip, Store(outputs.absolute() / "chips"), process)


@dataclass
class Counter:
    """Asks `chip` in a process that starts with the first network of which `store` knows nothing, and ends with
    `process`.
    """

    chip: Chip
    store: Store
    process: ExitStack
    _started: tuple[ProcessPoolExecutor, Path] | None = field(default=None, init=False)

    def counts(self, network: Network) -> dict[str, Any]:
        """What the chip counts of an untrained `network` in its precision `deployed`, by name.

        Raises InputError where the chip refuses the network, and FailureError where its runtime fails at it.
        """
        chip = self.chip
        options = {name: value for name, value in asdict(chip).items() if name not in ("name", "precisions")}
        under = {
            "network": network.identity(),
            "chip": {"runtime": chip.runtime, **options},
            "precision": chip.deployed,
            "system": [platform.system(), platform.machine()],
            "versions": chip.versions() | {package: version(package) for package in _PACKAGES},
        }
        kept = self.store.kept(under)
        if not isinstance(kept.get("counts"), dict) and not isinstance(kept.get("refused"), str):
            kept = self._asked(network)
            self.store.keep(under, **kept)
        if "refused" in kept:
            raise InputError(kept["refused"])
        counted: dict[str, Any] = kept["counts"]
        return counted

    def _asked(self, network: Network) -> dict[str, Any]:
        executor, folder = self._started or self._start()
        log = folder / "log"
        try:
            return executor.submit(_counted, self.chip, network, folder, log).result()
        except BrokenProcessPool:
            died = RuntimeError("its process ended")
            raise FailureError(f"{self.chip.runtime} failed: {reason(died, log)}") from None
        except RuntimeError as error:
            raise FailureError(f"{self.chip.runtime} failed: {reason(error, log)}") from None

    def _start(self) -> tuple[ProcessPoolExecutor, Path]:
        wait_briefly()
        folder = self.process.enter_context(tempfile.TemporaryDirectory(prefix="dsbench-"))
        executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_quickly)
        self.process.enter_context(executor)
        with without_interrupts(), without_main(), importing_alike():
            executor.submit(torchvision_ops.ensure).result()  # before Lightning imports torchvision
        self._started = executor, Path(folder)
        return self._started


def _counted(chip: Chip, network: Network, folder: Path, log: Path) -> dict[str, Any]:
    """What `chip` `counts` or why it has `refused` the network; in `log` is what it says on standard error.

    Raises InputError where there is no file to give it.
    """
    kind = chip.format, chip.deployed
    with errors_into(log):
        try:
            path = Deployable("network", network, random_images=1).written([kind], folder)[kind]
        except InputError:
            raise
        except Exception as error:
            raise RuntimeError(first_line(error)) from None  # others may not survive pickling
        try:
            return {"counts": counts(chip, path, chip.deployed)}
        except InputError as error:
            return {"refused": str(error)}
        except Exception as error:
            raise RuntimeError(first_line(error)) from None
