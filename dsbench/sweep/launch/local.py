"""Jobs in processes of this machine: as many at once as fit, each with threads and a GPU of its own.

They are forked from a server that has imported everything that they need.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle
import psutil
from hydra.core.utils import JobReturn

from dsbench.errors import first_line
from dsbench.process import importing_alike, keep_sockets_short, wait_briefly, without_interrupts, without_main
from dsbench.run.interrupts import deferred
from dsbench.run.outcome import Ended
from dsbench.sweep.launch.backend import Backend, LaunchContext
from dsbench.sweep.launch.worker import work
from dsbench.sweep.launch.workers import Workers, workers_for

PRELOAD = ("dsbench.sweep.launch.preload",)  # by the server that the processes of dsbench's own runs are forked from
_CONTEXT = multiprocessing.get_context("forkserver")


def begin_server(preload: Sequence[str] = PRELOAD) -> None:
    """Start the server, which imports what a job needs, and `preload`, while this process goes on; once is enough."""
    _CONTEXT.set_forkserver_preload(["dsbench.sweep.launch.worker", "dsbench.sweep.launch.job", *preload])
    keep_sockets_short()
    with without_interrupts(), without_main(), importing_alike():
        forkserver.ensure_running()
    atexit.unregister(_end_server)
    atexit.register(_end_server)


def _wait_for_server(preload: Sequence[str]) -> None:
    """Wait until the server has imported all: seconds that an exception may cut short, unlike the start of a job."""
    begin_server(preload)
    process = _CONTEXT.Process(target=os.getpid)
    with without_main():
        process.start()
    process.join()


def _end_server() -> None:
    """Kill the server: while it imports it would outlive this process by seconds, with its standard output open."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    for child in psutil.Process().children():
        if child.pid == server:
            with suppress(psutil.Error):
                child.kill()


@dataclass(eq=False)
class _Process:
    """The process of a job, which writes to `channel` and has the environment of the worker of that number."""

    process: Any
    channel: Connection
    worker: int
    returned: tuple[Any, ...] = ()

    def received(self) -> Iterator[dict[str, Any]]:
        """The events that the process has sent since the last call; what the job has returned is kept."""
        with suppress(EOFError, OSError):
            while self.channel.poll():
                kind, content = self.channel.recv()
                if kind == "event":
                    yield content
                else:
                    self.returned = (_unpickled(content),)

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill(self.process.pid, signal.SIGKILL)

    def ended(self) -> Any:
        """What the job has returned or, where its process died before, how that died."""
        self.channel.close()
        if not self.returned:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)  # what it has started
            return Ended("killed", _death(self.process.exitcode))
        return self.returned[0]


def _unpickled(content: bytes) -> Any:
    """What a job returned; a job whose result cannot be unpickled here has failed."""
    try:
        return cloudpickle.loads(content)
    except Exception as error:
        return Ended("failed", first_line(error))


def _death(exitcode: int) -> str:
    """What ended a process that returned nothing; `exitcode` is negative for the number of a signal."""
    if exitcode == -signal.SIGKILL:
        return "killed by SIGKILL, as the system does for want of memory"
    if exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"its process ended with exit code {exitcode}"


class Local(Backend):
    """Runs jobs, each in a process of its own with the environment of one of `workers`.

    The server that they are forked from imports the modules `preload`.
    """

    watched = True

    @classmethod
    def of(cls, context: LaunchContext, **options: Any) -> Local:
        """As many workers as the jobs need and as fit, by the sweep's n_jobs, threads and device. Raises InputError."""
        given = {name: context.config[name] for name in ("n_jobs", "threads", "device") if name in context.config}
        workers = workers_for(context.jobs, **given, loads=context.loads)
        return cls(workers, PRELOAD if context.ours else (), **options)

    def __init__(self, workers: Workers, preload: Sequence[str] = ()) -> None:
        self.threads, self.at_once, self.why_at_once = workers.threads, len(workers), workers.why
        self._environments, self._preload = workers.environments, preload
        self._free = list(range(len(workers)))

    def __str__(self) -> str:
        return "this machine"

    def prepare(self) -> None:
        """Start the server, which takes seconds to import what runs need."""
        begin_server(self._preload)

    def __enter__(self) -> Local:
        wait_briefly()  # which the processes inherit
        self._lifeline, self._end_of_life = _CONTEXT.Pipe(duplex=False)
        try:
            _wait_for_server(self._preload)
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            _end_server()
        self._end_of_life.close()
        self._lifeline.close()

    def start(self, jobs: Sequence[Callable[[], Any]]) -> list[_Process]:
        """Start a process for each of `jobs`, no more than are free."""
        return [self._start(job) for job in jobs]

    def _start(self, job: Callable[[], Any]) -> _Process:
        worker = self._free.pop(0)
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        environment = {**os.environ, **self._environments[worker]}  # the server's may be an older one
        process = _CONTEXT.Process(target=work, args=(sender, self._lifeline, cloudpickle.dumps(job), environment))
        with without_main():
            process.start()
        sender.close()
        return _Process(process, receiver, worker)

    def poll(self, running: Sequence[_Process]) -> list[tuple[_Process, Mapping[str, Any] | JobReturn | Ended]]:
        """Wait a moment for news: the events that jobs send, and the ends of those whose processes are gone."""
        out: list[tuple[_Process, Mapping[str, Any] | JobReturn | Ended]] = []
        wait([*(job.channel for job in running), *(job.process.sentinel for job in running)], timeout=0.2)
        for job in running:
            gone = not job.process.is_alive()  # asked first: all that it has sent is there by now
            out += [(job, event) for event in job.received()]
            if gone:
                out.append((job, job.ended()))
                self._free.append(job.worker)
        return out

    def end(self, running: Sequence[_Process], grace_seconds: float) -> None:
        """Ask jobs to stop, and kill the processes of those that have not after `grace_seconds`.

        A second signal, as timeout(1) sends one, waits until they have ended: else their runs would seem to go on.
        """
        with deferred():
            for job in running if grace_seconds else ():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(job.process.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace_seconds
            for job in running:
                job.process.join(max(0.0, deadline - time.monotonic()))
                if job.process.is_alive():
                    job.kill()
                    job.process.join()
