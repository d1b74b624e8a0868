"""The forward pass of several networks by several backends, measured by turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from dsbench.bench.backend import Backend, Inference
from dsbench.bench.compiled import compile_seconds, compiled, compiler
from dsbench.bench.probes import forward_probe
from dsbench.bench.subject import Subject, random_batch
from dsbench.bench.timing import Timing, interleaved


@dataclass(frozen=True)
class Forward:
    """Latency by batch size and backend, and the seconds that compiling took by batch size, where it was compiled.

    The backends torch and compiled have the device and the precision of the subject's Compute, torch_fp32, onnx and
    onnx_int8 the CPU (see dsbench.bench.deployed).
    """

    latency: dict[int, dict[str, Timing]] = field(default_factory=dict)
    compile_seconds: dict[int, float] = field(default_factory=dict)


def forwards(
    subjects: Sequence[Subject],
    others: Sequence[Mapping[str, Backend]],
    batches: Sequence[int],
    limit_seconds: float,
    compile_too: bool,
    say: Callable[[str], None],
) -> list[Forward]:
    """Measure each subject by torch, with `compile_too` compiled, and by its `others`, at one batch size after another.

    At each all backends of all subjects take turns.
    """
    eager = [Inference(subject.module(), subject.compute) for subject in subjects]
    out = [Forward() for _ in subjects]
    with compiler(len(subjects) * len(batches)) if compile_too else nullcontext():
        quick = [compiled(one) for one in eager] if compile_too else []
        backends: list[dict[str, Backend]] = [{"torch": one} for one in eager]
        for own, one in zip(backends, quick, strict=False):
            own["compiled"] = one
        for own, more in zip(backends, others, strict=True):
            own |= more
        for batch in batches:
            images = [random_batch(subject.network, torch.device("cpu"), batch)[0] for subject in subjects]
            if compile_too:
                say(f"compiling for batch {batch}")
                for found, one, x in zip(out, quick, images, strict=True):
                    found.compile_seconds[batch] = compile_seconds(one, x)
            say(f"latency at batch {batch}")
            pairs = [(backend, x) for own, x in zip(backends, images, strict=True) for backend in own.values()]
            timings = iter(interleaved([forward_probe(*pair, limit_seconds) for pair in pairs], limit_seconds))
            for found, own in zip(out, backends, strict=True):
                found.latency[batch] = {name: next(timings)[0] for name in own}
    return out
