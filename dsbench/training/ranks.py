"""Processes that train one network together: how they start and end, and what they tell each other."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from dsbench import torchvision_ops
from dsbench.errors import FailureError, first_line
from dsbench.training.device import Compute

_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}  # objects go over gloo on GPUs as well
_PATIENCE = timedelta(minutes=30)  # with a rank that says nothing
_END_SECONDS = 10.0
_STOPPING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
T = TypeVar("T")


@dataclass(frozen=True)
class Rank:
    """One of `ranks` processes that train together, by `number` from 0; by default the only one, which waits for none.

    Every rank must call the methods that talk (gathered, first, any) in the same order.
    """

    number: int = 0
    ranks: int = 1

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """This rank's part of the range from `start` to `stop`; the parts differ in length by one at most."""
        length = stop - start
        return start + length * self.number // self.ranks, start + length * (self.number + 1) // self.ranks

    def gathered(self, value: T) -> list[T]:
        """The values of all ranks, in order; tensors in them must lie on the CPU."""
        out = [value] * self.ranks
        if self.ranks > 1:
            dist.all_gather_object(out, value)
        return out

    def first(self, value: T) -> T:
        """The value of rank 0."""
        return self.gathered(value)[0]

    def any(self, flag: bool) -> bool:
        """Whether a rank says so."""
        return any(self.gathered(flag))


ALONE = Rank()


@contextmanager
def together(compute: Compute, task: Callable[[Rank, Compute], Any], log: Path) -> Iterator[tuple[Rank, Compute]]:
    """Start ranks 1 and up of `compute.ranks`, which call `task` with their rank and their part of `compute`.

    Within, this process is rank 0, with the part that is yielded. The others say what they say in `log`, and end with
    this one, however it ends. Raises FailureError where one of them has failed.
    """
    if compute.ranks == 1:
        yield ALONE, compute
        return
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        meeting, others = Path(folder) / "meeting", list[tuple[SpawnProcess, Connection]]()
        pickled = pickle.dumps(task)
        threads = torch.get_num_threads()
        try:
            for number in range(1, compute.ranks):
                here, there = context.Pipe()
                rank = Rank(number, compute.ranks)
                process = context.Process(target=_work, args=(rank, compute, pickled, log, meeting, there), daemon=True)
                process.start()
                there.close()
                others.append((process, here))
            _await(others, log)
            rank = Rank(0, compute.ranks)
            yield rank, _join(rank, compute, meeting)
            for process, _ in others:
                process.join(_END_SECONDS)
        except Exception as error:
            blamed = _blame(error, others, log)
            raise blamed from (None if blamed is error else error)
        finally:
            for process, here in others:
                process.kill()
                process.join()
                here.close()
            if dist.is_initialized():
                dist.destroy_process_group()
            torch.set_num_threads(threads)


def _await(others: list[tuple[SpawnProcess, Connection]], log: Path) -> None:
    """Wait until every process has started."""
    for process, connection in others:
        wait([connection, process.sentinel])
        try:
            connection.recv()
        except (EOFError, OSError) as error:
            raise FailureError(f"a rank did not start; see {log}") from error


def _blame(error: Exception, others: list[tuple[SpawnProcess, Connection]], log: Path) -> Exception:
    """`error`, with the end of another rank where there is one: those that talk to it see a lost connection."""
    gone = wait([process.sentinel for process, _ in others], timeout=1)
    for number, (process, _) in enumerate(others, 1):
        if process.sentinel in gone:
            process.join(_END_SECONDS)  # its end is told a moment before its exit code is there
        if process.exitcode:
            return FailureError(
                f"rank {number} ended with exit code {process.exitcode}, see {log}: {first_line(error)}"
            )
    return error


def _join(rank: Rank, compute: Compute, meeting: Path) -> Compute:
    """Join the ranks; returns what this one has of `compute`."""
    device = torch.device("cuda", rank.number) if compute.device.type == "cuda" else compute.device
    if device.type == "cuda":
        torch.cuda.set_device(device)
    own = replace(compute, device=device, threads=max(1, compute.threads // rank.ranks))
    torch.set_num_threads(own.threads)
    place = f"file://{meeting}"
    dist.init_process_group(_BACKENDS[device.type], place, _PATIENCE, rank.ranks, rank.number)
    return own


def _work(
    rank: Rank,
    compute: Compute,
    pickled: bytes,
    log: Path,
    meeting: Path,
    connection: Connection,
) -> None:
    """The life of a rank that is not the first."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)  # that is for the first rank, with which this one ends
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    torchvision_ops.ensure()  # before Lightning imports torchvision, which the task needs
    task = pickle.loads(pickled)
    connection.send("started")
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    task(rank, _join(rank, compute, meeting))
    dist.destroy_process_group()


def _end_with(connection: Connection) -> None:
    with suppress(EOFError, OSError):
        connection.recv_bytes()
    os.kill(os.getpid(), signal.SIGKILL)
