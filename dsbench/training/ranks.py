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
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

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


class _Sum(torch.autograd.Function):
    """The sum over ranks. What a rank contributes counts in the loss of each, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.clone()
        dist.all_reduce(out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        out = grad.clone()
        dist.all_reduce(out)
        return out


class SharedBatchNorm(nn.Module):
    """Normalises by mean and variance of all ranks' shares, as `norm` does by those of its input; same parameters.

    torch's SyncBatchNorm does that on GPUs alone, where this one has not torch's fused kernels.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.momentum = float(norm.momentum or 0.0)
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)
        self.running_mean: Tensor
        self.running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, H, W) to the same shape."""
        if not self.training:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        wide, axes = x.float(), [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        count = torch.tensor([float(x.numel() // x.shape[1])], device=x.device)
        dist.all_reduce(count)
        mean = _Sum.apply(wide.sum(axes)) / count
        centred = wide - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def shared(network: nn.Module) -> nn.Module:
    """`network` with every batch norm in it made to span the ranks."""
    for name, part in network.named_children():
        setattr(network, name, SharedBatchNorm(part) if isinstance(part, _BatchNorm) else shared(part))
    return network
