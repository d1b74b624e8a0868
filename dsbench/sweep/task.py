"""A task and the process that has it, seen from the sweep."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle


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
