"""Measurements in processes of their own: one that hangs or leaves its device unusable costs itself alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from dsbench.errors import first_line

Task = TypeVar("Task")
_START_SECONDS = 120.0
_CONTEXT = multiprocessing.get_context("spawn")  # a fork of a process that has used CUDA cannot use it


def in_order(
    measure: Callable[[Task], dict[str, Any]], tasks: Sequence[Task], log: Path, limit_seconds: float
) -> Iterator[tuple[Task, dict[str, Any]]]:
    """What `measure` says of each task, as it says it, or {"error": ...}; all that it prints goes to `log`.

    One process goes through the tasks. After one that failed, died or took longer than `limit_seconds` a new process
    takes what is left: what a failure leaves on a GPU is not to be measured.
    """
    left = list(tasks)
    while left:
        here, there = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_work, args=(measure, left, there, log))
        process.start()
        there.close()
        try:
            _received(here, _START_SECONDS)
            while left:
                result = _received(here, limit_seconds)
                yield left.pop(0), result
                if "error" in result:
                    break
        finally:
            end(process)


def at_once(
    measure: Callable[[Task, int, Any], dict[str, Any]],
    count: int,
    tasks: Sequence[Task],
    log: Path,
    limit_seconds: float,
) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
    """What each of `count` processes says of each task; all of them go through the tasks together.

    `measure` is given the task, the number of its process, and a barrier for each number of processes that may have to
    wait for each other. After a task in which one of them failed or took too long, new ones take what is left.
    """
    left = list(tasks)
    while left:
        barriers = {size: _CONTEXT.Barrier(size) for size in range(1, count + 1)}
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(count)]
        processes = [
            _CONTEXT.Process(target=_work, args=(partial(_with_others, measure, index, barriers), left, there, log))
            for index, (_, there) in enumerate(pipes)
        ]
        for process, (_, there) in zip(processes, pipes, strict=True):
            process.start()
            there.close()
        try:
            for here, _ in pipes:
                _received(here, _START_SECONDS)
            while left:
                results = [_received(here, limit_seconds) for here, _ in pipes]
                yield left.pop(0), results
                if any("error" in result for result in results):
                    break
        finally:
            for process in processes:
                end(process)


def end(process: Any) -> None:
    """Kill the process and all that it has started, DataLoader's workers among them."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(process.pid, signal.SIGKILL)
    process.join()


def _with_others(
    measure: Callable[[Task, int, Any], dict[str, Any]], index: int, barriers: Any, task: Task
) -> dict[str, Any]:
    return measure(task, index, barriers)


def _received(channel: Connection, limit_seconds: float) -> dict[str, Any]:
    try:
        if channel.poll(limit_seconds):
            return channel.recv()
        return {"error": f"took more than {limit_seconds:g} s"}
    except (EOFError, OSError):
        return {"error": "its process died"}


def _work(measure: Callable[[Task], dict[str, Any]], tasks: Sequence[Task], channel: Connection, log: Path) -> None:
    os.setsid()  # so that it can be killed with all that it starts
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    channel.send({})  # it has started
    for task in tasks:
        start = time.perf_counter()
        try:
            result = measure(task)
        except Exception as error:
            traceback.print_exc()
            channel.send({"error": f"{type(error).__name__}: {first_line(error)}"})
            return
        channel.send(result | {"took_seconds": time.perf_counter() - start})
