"""The server that a sweep's processes are forked from: begun and ended so that neither is in the way of Ctrl-C."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from typing import Any

import cloudpickle
import psutil

from dsbench.run.interrupts import GRACE_SECONDS, deferred, raise_if_asked_to_stop
from dsbench.sweep.launch.worker import work


def begin(context: ForkServerContext, preload: Sequence[str]) -> None:
    """Have it import the worker and `preload` while this process does something else; once is enough."""
    context.set_forkserver_preload(["dsbench.sweep.launch.worker", *preload])
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


@dataclass(frozen=True)
class Task:
    """A function of no arguments, pickled."""

    number: int
    function: bytes


@dataclass(frozen=True)
class Ended:
    """How a task's process ended: with a `result` of its function, or without one.

    `exitcode` is negative for the number of a signal.
    """

    number: int
    exitcode: int
    result: Any = None
    returned: bool = False


@dataclass
class Running:
    """A task in its process, which writes to `channel`; `limit` is when its time is over, by the monotonic clock."""

    task: Task
    process: Any
    channel: Connection
    slot: int
    limit: float | None = None
    result: Any = None
    returned: bool = False

    def receive(self, on_event: Callable[[int, dict[str, Any]], None]) -> None:
        """Take up what the process has sent: events, and its result."""
        with suppress(EOFError, OSError):
            while self.channel.poll():
                kind, content = self.channel.recv()
                if kind == "result":
                    self.result, self.returned = _unpickled(content), True
                else:
                    on_event(self.task.number, content)

    def kill(self, number: signal.Signals) -> None:
        """Signal the process; a kill goes to all that it has started as well."""
        with suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
            os.kill(self.process.pid, number)

    def kill_what_it_left(self) -> None:
        """Kill what the process has started, once it is gone itself."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def ended(self) -> Ended:
        """How it ended, once its process is gone."""
        return Ended(self.task.number, self.process.exitcode, self.result, self.returned)


def _unpickled(content: bytes) -> Any:
    """What a task returned; where that cannot be made here, the exception that says why."""
    try:
        return cloudpickle.loads(content)
    except Exception as error:
        return error


class Pool:
    """Runs tasks, one in each of `slots` at a time; a slot is the environment variables of its processes.

    The server that they are forked from imports the modules `preload`.

    `on_event(number, event)` is given what tasks tell (see dsbench.sweep.launch.worker.tell), `on_start(number)` and
    `on_end(ended)` what their names say; `on_wait()` is called several times a second.
    """

    def __init__(
        self,
        slots: Sequence[Mapping[str, str]],
        preload: Sequence[str],
        on_start: Callable[[int], None],
        on_event: Callable[[int, dict[str, Any]], None],
        on_end: Callable[[Ended], Task | None],
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.slots = slots
        self.on_start, self.on_event, self.on_end, self.on_wait = on_start, on_event, on_end, on_wait
        self._context = multiprocessing.get_context("forkserver")
        self._preload = preload
        self._running: dict[int, Running] = {}

    def run(self, tasks: Iterable[Task]) -> None:
        """Run all of them, in order, each asked for when there is a slot. A task that `on_end` returns is run again.

        When an exception ends this (Ctrl-C), the processes are asked to stop, and killed after a few seconds.
        """
        waiting, again, free = iter(tasks), deque[Task](), list(range(len(self.slots)))
        lifeline, self._lifeline = self._context.Pipe(duplex=False)
        try:
            start(self._context, self._preload)
            while True:
                raise_if_asked_to_stop()
                while free and (task := next(waiting, None) or (again.popleft() if again else None)):
                    self._start(task, free.pop(0), lifeline)
                if not self._running:
                    break
                for one in self._ended():
                    del self._running[one.task.number]
                    free.append(one.slot)
                    repeated = self.on_end(one.ended())
                    if repeated is not None:
                        again.append(repeated)
                self.on_wait()
        except BaseException:
            self._stop()
            end()
            raise
        finally:
            self._lifeline.close()
            lifeline.close()

    def limit(self, number: int, seconds: float | None) -> None:
        """Kill the process of a task that runs, `seconds` from now; None: not at all."""
        self._running[number].limit = None if seconds is None else time.monotonic() + seconds

    def _start(self, task: Task, slot: int, lifeline: Connection) -> None:
        with deferred():  # a process that is not among those that run would be waited for, unasked, at the exit
            receiver, sender = self._context.Pipe(duplex=False)
            arguments = (sender, lifeline, task.function, dict(self.slots[slot]))
            process = self._context.Process(target=work, args=arguments, name=f"dsbench-{task.number}")
            process.start()
            sender.close()
            self._running[task.number] = Running(task, process, receiver, slot)
        self.on_start(task.number)

    def _ended(self) -> list[Running]:
        """Wait a moment for news; returns the tasks whose processes are gone."""
        running = self._running
        channels = {one.channel: one for one in running.values()}
        sentinels = {one.process.sentinel: one for one in running.values()}
        ready = wait([*channels, *sentinels], timeout=0.2)
        for connection in ready:
            if connection in channels:
                channels[connection].receive(self.on_event)
        now = time.monotonic()
        for one in running.values():
            if one.limit is not None and now > one.limit:
                one.kill(signal.SIGKILL)
        out = [one for one in running.values() if not one.process.is_alive()]
        for one in out:
            one.receive(self.on_event)
            one.channel.close()
            if not one.returned:
                one.kill_what_it_left()
        return out

    def _stop(self) -> None:
        running = list(self._running.values())
        self._running.clear()
        for one in running:
            one.kill(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for one in running:
            one.process.join(max(0.0, deadline - time.monotonic()))
            if one.process.is_alive():
                one.kill(signal.SIGKILL)
                one.process.join()
            one.channel.close()
