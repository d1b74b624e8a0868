"""Networks measured by turns in torch: latency by backend, the training step with its parts, and its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import torch

from dsbench.config.schema import OptimizerConfig
from dsbench.measure.probes import (
    Inference,
    StepProbe,
    compile_seconds,
    compiled,
    compiler,
    forward_probe,
    peak_memory_bytes,
)
from dsbench.measure.record import PARTS, new_session
from dsbench.measure.store import Store, conditions
from dsbench.measure.subject import StepRecipe, Subject, random_batch
from dsbench.measure.timing import BATCHES, LIMIT_SECONDS, Probe, Timing, interleaved
from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.training.device import Compute, set_up_process


@dataclass(frozen=True)
class Forward:
    """Latency by batch size and backend, and the seconds that compiling took by batch size, where it was compiled.

    The backends are torch and compiled, on the device and in the precision of the subject's Compute.
    """

    latency: dict[int, dict[str, Timing]] = field(default_factory=dict)
    compile_seconds: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A training step of `batch_size` images: whole, and its parts between synchronised clocks.

    `forward` includes the loss, `optimizer` the clipping of gradients. On a GPU the parts add up to more than `total`,
    in which nothing waits for the device between them.
    """

    batch_size: int
    total: Timing
    forward: Timing
    backward: Timing
    optimizer: Timing


@dataclass(frozen=True)
class Measured:
    """What was measured of one network; networks that took turns share their `session`.

    `peak_memory_bytes` is that of a training step (see dsbench.measure.probes).
    """

    forward: Forward
    step: Step
    peak_memory_bytes: int | None
    session: str = field(default_factory=new_session)

    @classmethod
    def over(cls, repeats: Sequence[Measured]) -> Measured:
        """The first of `repeats`, processes that measured the same network, with the times of the rounds of all."""
        first, steps = repeats[0], [measured.step for measured in repeats]
        latency = {
            batch: {name: Timing.over([one.forward.latency[batch][name] for one in repeats]) for name in backends}
            for batch, backends in first.forward.latency.items()
        }
        parts = (Timing.over([getattr(step, part) for step in steps]) for part in PARTS)
        forward = Forward(latency, first.forward.compile_seconds)
        return replace(first, forward=forward, step=Step(first.step.batch_size, *parts))


def bench(
    subjects: Sequence[Subject],
    batches: Sequence[int] = BATCHES,
    limit_seconds: float = LIMIT_SECONDS,
    compile_too: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> list[Measured]:
    """Measure `subjects` by turns; each measurement takes at most `limit_seconds` a subject, its warm-up aside.

    `say` is called with what comes next. Raises InputError where a run's weights are missing.
    """
    set_up_process()
    forward = _forwards(subjects, list(dict.fromkeys(batches)), limit_seconds, compile_too, say)
    say("training step")
    steps = _steps(subjects, limit_seconds)
    say("peak memory")  # last: libraries hold what they keep by now, and nothing timed follows that the profiler slows
    memory = [peak_memory_bytes(subject) for subject in subjects]
    session = new_session()
    return [Measured(*parts, session) for parts in zip(forward, steps, memory, strict=True)]


def _forwards(
    subjects: Sequence[Subject],
    batches: Sequence[int],
    limit_seconds: float,
    compile_too: bool,
    say: Callable[[str], None],
) -> list[Forward]:
    """The forward pass of each subject, with `compile_too` compiled as well.

    One batch size follows the other; at each, all backends of all subjects take turns.
    """
    eager = [Inference(subject.module(), subject.compute) for subject in subjects]
    forwards = [Forward() for _ in subjects]
    with compiler(len(subjects) * len(batches)) if compile_too else nullcontext():
        twins = [compiled(inference) if compile_too else None for inference in eager]
        backends = [
            {"torch": inference} | ({"compiled": twin} if twin else {})
            for inference, twin in zip(eager, twins, strict=True)
        ]
        for batch in batches:
            images = [random_batch(subject.network, torch.device("cpu"), batch)[0] for subject in subjects]
            if compile_too:
                say(f"compiling for batch {batch}")
            for forward, twin, x in zip(forwards, twins, images, strict=True):
                if twin:
                    forward.compile_seconds[batch] = compile_seconds(twin, x)
            say(f"latency at batch {batch}")
            pairs = [(backend, x) for own, x in zip(backends, images, strict=True) for backend in own.values()]
            timings = iter(interleaved([forward_probe(*pair, limit_seconds) for pair in pairs], limit_seconds))
            for forward, own in zip(forwards, backends, strict=True):
                forward.latency[batch] = {name: next(timings)[0] for name in own}
    return forwards


def _steps(subjects: Sequence[Subject], limit_seconds: float) -> list[Step]:
    probes = [StepProbe(subject, limit_seconds) for subject in subjects]
    timings = interleaved(probes, limit_seconds)
    return [Step(subject.recipe.batch_size, *parts) for subject, parts in zip(subjects, timings, strict=True)]


def forward_latency(
    network: Network, compute: Compute, batch: int, limit_seconds: float = LIMIT_SECONDS, store: Store | None = None
) -> Timing:
    """The forward pass of `batch` images in evaluation mode; taken from `store` where that has it."""

    def probe() -> Probe:
        images, _ = random_batch(network, compute.device, batch)
        return forward_probe(Inference(build(network, seed=0), compute), images, limit_seconds)

    return _timing(probe, conditions(network, "forward", batch, compute), limit_seconds, store)


def forward_undisturbed(
    networks: Sequence[Network], compute: Compute, limit_seconds: float, store: Store
) -> list[Timing]:
    """The forward passes of one image through `networks` on one thread of a CPU, by turns, without waits for a core.

    Their ratio stands whatever else the machine does, and the limit has no waits either. Taken from `store` where that
    has them, measured together.
    """
    compute = replace(compute, threads=1)
    together = {"undisturbed forward by turns": [network.identity() for network in networks]}

    @cache
    def measured() -> list[Timing]:
        set_up_process()
        probes = []
        for network in networks:
            image, _ = random_batch(network, compute.device, 1)
            inference = Inference(build(network, seed=0), compute)
            probes.append(forward_probe(inference, image, limit_seconds, time.thread_time))
        return [timing for (timing,) in interleaved(probes, limit_seconds, time.thread_time)]

    def timing(number: int) -> Timing:
        under = conditions(networks[number], together, 1, compute)
        return store.timing(under, limit_seconds, lambda: measured()[number])

    return [timing(number) for number in range(len(networks))]


def step_latency(
    network: Network,
    optimizer: OptimizerConfig,
    compute: Compute,
    batch: int,
    limit_seconds: float = LIMIT_SECONDS,
    store: Store | None = None,
) -> Timing:
    """A whole training step of `batch` images; taken from `store` where that has it."""

    def probe() -> Probe:
        return StepProbe(Subject(network, compute, StepRecipe(optimizer, batch)), limit_seconds).whole

    step = {
        name: value for name, value in asdict(optimizer).items() if name != "decay_depthwise"
    }  # which takes no time
    return _timing(probe, conditions(network, {"step": step}, batch, compute), limit_seconds, store)


def _timing(probe: Callable[[], Probe], under: dict[str, Any], limit_seconds: float, store: Store | None) -> Timing:
    def measure() -> Timing:
        set_up_process()
        return interleaved([probe()], limit_seconds)[0][0]

    return measure() if store is None else store.timing(under, limit_seconds, measure)
