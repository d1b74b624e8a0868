"""How many runs fit on this machine at once, and with which threads and GPU each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from dsbench import machine
from dsbench.errors import InputError
from dsbench.numerals import counted, memory
from dsbench.process import import_path
from dsbench.provenance import N_JOBS
from dsbench.training.memory import IMPORTED_BYTES
from dsbench.training.place import is_there

# A run takes at the most so many times what is counted of it, and so much more: workspaces, what oneDNN compiles, W&B,
# memory in pieces. By benchmarks/memory.py.
_SPARE = 1.5
_SPARE_BYTES = 110 << 20
# Of a GPU. Estimates, none of them measured on a card yet: a process whose training step has FILLING_MACS keeps a card
# busy by itself, smaller ones share it, up to MOST_A_GPU of them. A process takes _SPARE_GPU_BYTES of the card (CUDA's
# context, what cuDNN and cuBLAS keep) beside _SPARE times its numbers, and HOST_BYTES of the machine.
FILLING_MACS = 20e9
MOST_A_GPU = 4
_SPARE_GPU_BYTES = 800 << 20
HOST_BYTES = 1 << 30
_ASK_SECONDS = 120
_ASK = "import torch; print(*(torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())))"


@dataclass(frozen=True)
class Load:
    """What a job takes: bytes of the memory that it trains in, the machine's or a GPU's, and MACs of a training step.

    It trains so many `runs` as one program.
    """

    bytes: int
    step_macs: int = 0
    on_gpu: bool = False
    runs: int = 1


@dataclass(frozen=True)
class Workers:
    """Places for a process each: its environment variables, and the `threads` of a run in it; `why` so many."""

    environments: tuple[dict[str, str], ...]
    threads: int
    why: str = ""

    def __len__(self) -> int:
        return len(self.environments)


def workers_for(
    jobs: int,
    n_jobs: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    loads: Sequence[Load] = (),
) -> Workers:
    """The workers for so many `jobs`; None stands for what gives the most runs an hour.

    On CPUs that is a run a core with one thread each: small networks gain little from a second thread, and two
    processes of one thread beat one of two. Fewer runs than cores share them all. A GPU is shared by as many processes
    as its arithmetic and the machine's cores keep going (see FILLING_MACS, an estimate): steps of small networks are
    bound by their launches. Whatever is asked for, there are no more than fit into the memory that is free, the
    machine's and the GPUs', where `loads` says what each job takes.
    """
    for name, value in (("n_jobs", n_jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value} is not a positive integer")
    cards, cores = gpus() if device in ("auto", "cuda") else 0, machine.cores()
    sharing = _sharing(loads, cards, cores) if cards else 0
    fit = cards * sharing if cards else max(1, cores // (threads or 1))
    asked = max(1, min(n_jobs or fit, jobs))
    # what takes threads is settled before networks are known, by as many processes as may be
    threads = threads or max(1, cores // (min(n_jobs or cards * MOST_A_GPU, max(1, jobs)) if cards else asked))
    count, why = _in_all_memory(loads, asked, cards)
    places = f"n_jobs={n_jobs}" if n_jobs else _words(cards, sharing) if cards else counted(cores, "core")
    if jobs < (n_jobs or fit):
        places = f"{counted(jobs, _noun(loads))} to train"
    shared = {N_JOBS: str(count)}
    own = [{"CUDA_VISIBLE_DEVICES": _visible(i % cards)} if cards else {} for i in range(count)]
    environments = tuple(shared | each for each in own)
    return Workers(environments, threads, f"{count} at once: {places}, {why}" if loads else "")


def gpus() -> int:
    """The CUDA devices that CUDA_VISIBLE_DEVICES leaves, as CUDA reads it: none from the first on that is no device.

    They are counted without a context: a process that forks must not have one.
    """
    if not is_there("cuda"):
        return 0
    import torch

    return torch.cuda.device_count()  # through NVML


def free_of_gpu() -> int | None:
    """The bytes that are free on that of the GPUs that has the fewest; None where that cannot be known."""
    return min(_free_of_gpus(os.environ.get("CUDA_VISIBLE_DEVICES")), default=None)


def in_memory(loads: Sequence[Load], forked: bool) -> int:
    """How many of the jobs that take `loads` fit into the memory that is free, whichever; one at the least.

    `forked`: whether their processes are forked from one, and share what that has imported.
    """
    return _fitting((_taken(load, forked) for load in loads), _free(forked))


def taken_of_gpu(run_bytes: int) -> int:
    """What a process takes of a GPU's memory whose training takes so much of it at the least."""
    return int(_SPARE * run_bytes) + _SPARE_GPU_BYTES


def _sharing(loads: Sequence[Load], cards: int, cores: int) -> int:
    """How many processes share a GPU, each of which wants a core for its launches."""
    largest = max((load.step_macs for load in loads), default=0)
    by_macs = int(FILLING_MACS // largest) if largest else 1
    return max(1, min(by_macs, MOST_A_GPU, cores // cards))


def _words(cards: int, sharing: int) -> str:
    return counted(cards, "GPU") + (f" with {sharing} each" if sharing > 1 else "")


def _noun(loads: Sequence[Load]) -> str:
    return "program" if any(load.runs > 1 for load in loads) else "run"


def _in_all_memory(loads: Sequence[Load], asked: int, cards: int) -> tuple[int, str]:
    """How many of the `asked` processes the memory holds, and what decides that, in words."""
    count = min(asked, in_memory(loads, forked=True))
    on_gpu = [taken_of_gpu(load.bytes) for load in loads if load.on_gpu]
    free = (free_of_gpu() or 0) if cards and on_gpu else 0
    if free:
        count = min(count, cards * _fitting(on_gpu, free))
    where, most = " of a GPU" if free else "", max(on_gpu if free else [_taken(load, True) for load in loads] or [1])
    free = free or _free(forked=True)
    fitting = f"memory{where} for {counted(free // most, _noun(loads))} of {memory(most)}"
    return count, f"but {fitting} ({memory(free)} are free)" if count < asked else f"and {fitting}"


def _fitting(taken: Iterable[int], free: int) -> int:
    """How many of them fit, the largest first; one at the least, and any number where all of them do."""
    totals = [*accumulate(sorted(taken, reverse=True))]
    fitting = sum(total <= free for total in totals)
    return max(1, fitting) if fitting < len(totals) else 1 << 30


def _taken(load: Load, forked: bool) -> int:
    """Of the machine's memory."""
    own = HOST_BYTES if load.on_gpu else int(_SPARE * load.bytes) + _SPARE_BYTES
    return own + (0 if forked else IMPORTED_BYTES)


def _free(forked: bool) -> int:
    return max(0, machine.memory().available - (IMPORTED_BYTES if forked else 0))


@cache
def _free_of_gpus(visible: str | None) -> tuple[int, ...]:
    """The bytes that are free on each of the `visible` GPUs; empty where that cannot be known.

    A child is asked: that has a CUDA context on each for a moment, which this process must not have.
    """
    command = [sys.executable, "-c", _ASK]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, env={**os.environ, **import_path()}
        )
    except subprocess.TimeoutExpired:
        return ()
    return tuple(map(int, ended.stdout.split())) if ended.returncode == 0 else ()


def _visible(index: int) -> str:
    """The name of the `index`-th of the devices that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index].strip() if visible is not None else str(index)
