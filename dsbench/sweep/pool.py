"""A fixed number of slots, a process a task, forked from a warm server: one task's end never touches another's.

Nothing here knows what a task does.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from dsbench.run.signals import insist, undisturbed
from dsbench.run.timeout import GRACE_SECONDS
from dsbench.sweep import server
from dsbench.sweep.task import Ended, Running, Task
from dsbench.sweep.worker import work


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
        self._preload = preload
        self._running: dict[int, Running] = {}

    def run(self, tasks: Iterable[Task]) -> None:
        """Run all of them, in order, each asked for when there is a slot. A task that `on_end` returns is run again.

        When an exception ends this (Ctrl-C), the processes are asked to stop, and killed after a few seconds.
        """
        waiting, again, free = iter(tasks), deque[Task](), list(range(len(self.slots)))
        lifeline, self._lifeline = self._context.Pipe(duplex=False)
        try:
            server.start(self._context, self._preload)
            while True:
                insist()
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
