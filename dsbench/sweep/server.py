"""The server that a sweep's processes are forked from: begun and ended so that neither is in the way of Ctrl-C."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

import psutil


def begin(context: ForkServerContext, preload: Sequence[str]) -> None:
    """Have it import the worker and `preload` while this process does something else; once is enough."""
    context.set_forkserver_preload(["dsbench.sweep.worker", *preload])
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        forkserver.ensure_running()  # it inherits that the terminal's Ctrl-C is not for it
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
    atexit.unregister(end)
    atexit.register(end)


def start(context: ForkServerContext, preload: Sequence[str]) -> None:
    """Wait until it has imported all; this takes seconds, which an exception may cut short, as no task's start may."""
    begin(context, preload)
    process = context.Process(target=os.getpid)
    process.start()
    process.join()


def end() -> None:
    """Kill it: while it still imports it would outlive this process by seconds, its standard output open."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    for child in psutil.Process().children():
        if child.pid == server:
            with suppress(psutil.Error):
                child.kill()
