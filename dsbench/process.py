"""Settings of the whole process: small networks train at the speed of the machine, and its end takes no time."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

# <malloc.h> of glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_TRIM_BYTES = 2**31 - 1
_MMAP_BYTES = 32 * 1024 * 1024  # the largest value glibc accepts on 64-bit machines


def wait_briefly() -> None:
    """Have OpenMP's threads sleep soon while they wait; call before torch is imported. The environment wins.

    By default they spin for milliseconds, so beside any other busy process a thread that others wait for loses its core
    to their waiting, and a run can take ten times as long. Not to spin at all halves the speed of small networks on an
    idle machine. Three thousand turns cost a tenth there, and little beside others.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def end_quickly() -> None:
    """Have the interpreter end without its last collections: with Lightning imported they take more than a second."""
    atexit.register(gc.freeze)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Processes that are started within are not ended by the terminal's Ctrl-C, which is for this one to pass on."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def without_main() -> Iterator[None]:
    """Processes that multiprocessing starts within do not import the script or notebook that this one runs, again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep freed memory; True where it did. Elsewhere (macOS, musl) a no-op.

    By default every activation above 128 KiB is mapped at its allocation and unmapped when freed, so each training
    step faults all of its pages in again: with this, fp32 steps of small networks take about 0.6 of the time.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)) and bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES))
