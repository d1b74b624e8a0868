"""A fixed number of slots, a process a task, forked from a warm server: one task's end never touches another's.

Nothing here knows what a task does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle

from dsbench.run.signals import insist, undisturbed
from dsbench.sweep import server
from dsbench.sweep.worker import GRACE_SECONDS, work


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
class _Running:
    task: Task
    process: Any
    channel: Connection
    slot: int
    limit: float | None = None
    result: Any = None
    returned: bool = False


class Pool:
    """Runs tasks, one in each of `slots` at a time; a slot is the environment variables of its processes.

    The server that they are forked from imports the modules `preload`.

    `on_event(number, event)` is given what tasks tell (see dsbench.sweep.worker.tell), `on_start(number)` and
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
        self._context.set_forkserver_preload(["dsbench.sweep.worker", *preload])
        self._running: dict[int, _Running] = {}

    def run(self, tasks: Iterable[Task]) -> None:
        """Run all of them, in order, each asked for when there is a slot. A task that `on_end` returns is run again.

        When an exception ends this (Ctrl-C), the processes are asked to stop, and killed after a few seconds.
        """
        waiting, again, free = iter(tasks), deque[Task](), list(range(len(self.slots)))
        lifeline, self._lifeline = self._context.Pipe(duplex=False)
        try:
            server.start(self._context)
            while True:
                insist()
                while free and (task := next(waiting, None) or (again.popleft() if again else None)):
                    self._start(task, free.pop(0), lifeline)
                if not self._running:
                    break
                for one in self._ended():
                    del self._running[one.task.number]
                    free.append(one.slot)
                    repeated = self.on_end(_verdict(one))
                    if repeated is not None:
                        again.append(repeated)
                self.on_wait()
        except BaseException:
            self._stop()
            server.end()
            raise
        finally:
            self._lifeline.close()
            lifeline.close()

    def limit(self, number: int, seconds: float | None) -> None:
        """Kill the process of a task that runs, `seconds` from now; None: not at all."""
        self._running[number].limit = None if seconds is None else time.monotonic() + seconds

    def _start(self, task: Task, slot: int, lifeline: Connection) -> None:
        with undisturbed():  # a process that is not among those that run would be waited for, unasked, at the exit
            receiver, sender = self._context.Pipe(duplex=False)
            arguments = (sender, lifeline, task.function, dict(self.slots[slot]))
            process = self._context.Process(target=work, args=arguments, name=f"dsbench-{task.number}")
            process.start()
            sender.close()
            self._running[task.number] = _Running(task, process, receiver, slot)
        self.on_start(task.number)

    def _ended(self) -> list[_Running]:
        """Wait a moment for news; returns the tasks whose processes are gone."""
        running = self._running
        channels = {one.channel: one for one in running.values()}
        sentinels = {one.process.sentinel: one for one in running.values()}
        ready = wait([*channels, *sentinels], timeout=0.2)
        for connection in ready:
            if connection in channels:
                self._receive(channels[connection])
        now = time.monotonic()
        for one in running.values():
            if one.limit is not None and now > one.limit:
                _kill(one, signal.SIGKILL)
        out = [one for one in running.values() if not one.process.is_alive()]
        for one in out:
            self._receive(one)
            one.channel.close()
        return out

    def _receive(self, one: _Running) -> None:
        with suppress(EOFError, OSError):
            while one.channel.poll():
                kind, content = one.channel.recv()
                if kind == "result":
                    one.result, one.returned = _unpickled(content), True
                else:
                    self.on_event(one.task.number, content)

    def _stop(self) -> None:
        running = list(self._running.values())
        self._running.clear()
        for one in running:
            _kill(one, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for one in running:
            one.process.join(max(0.0, deadline - time.monotonic()))
            if one.process.is_alive():
                _kill(one, signal.SIGKILL)
                one.process.join()
            one.channel.close()


def _unpickled(content: bytes) -> Any:
    """What a task returned; where that cannot be made here, the exception that says why."""
    try:
        return cloudpickle.loads(content)
    except Exception as error:
        return error


def _verdict(one: _Running) -> Ended:
    return Ended(one.task.number, one.process.exitcode, one.result, one.returned)


def _kill(one: _Running, number: signal.Signals) -> None:
    """Signal the process; a kill goes to all that it has started as well."""
    with suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL:
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, number)
        os.kill(one.process.pid, number)
