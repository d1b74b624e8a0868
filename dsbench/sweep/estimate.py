"""How long a sweep will take: from a short probe of its networks, and from the runs that have ended.

Times are those of a machine that does nothing else, stretched by what others leave of its cores at this moment.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

from dsbench.config.network import dataset_of
from dsbench.run.plan import Plan
from dsbench.run.record import FINAL, Record
from dsbench.sweep.groups import groups
from dsbench.sweep.plan import PlannedJob, SweepPlan
from dsbench.training.memory import kept_numbers
from dsbench.training.stop import AfterSteps

if TYPE_CHECKING:
    import numpy as np

    from dsbench.measure.timing import Timing
    from dsbench.training.device import Compute

PROBES = 5  # networks at the most, spread over the sweep's range of MACs
PROBE_SECONDS = 0.4
LARGEST_SECONDS = 2.0  # that a probe may take where it must: networks whose few steps would take longer are not timed
START_SECONDS = 2.5  # until the first run trains: imports
RUN_SECONDS = 0.7  # of a run, apart from its images
REPORT_SECONDS = 4.0  # of verdict, tables and page
WAITED = 1.5  # runs that took longer by this factor than their steps take now waited for others
_STEPS = 5  # of a probe at the least, its warm-up included
_WARM_UP = 2
_EVALUATION = 1 / 3  # of an image's training: its forward pass alone
_ALONE = 0.8  # share of a core from which on a process has one for itself
# Prints which share of half a second a process computes that wants to compute all the time.
_SPIN = """
from time import perf_counter, process_time
wall, core = perf_counter(), process_time()
while perf_counter() < wall + 0.5:
    pass
print((process_time() - core) / (perf_counter() - wall))
"""


@dataclass(frozen=True)
class Rate:
    """What an image costs a network in training: MACs and activations of its forward pass, seconds of all passes."""

    macs: int
    acts: int
    seconds: float


def seconds_left(
    plan: SweepPlan,
    at_once: int,
    share: float,
    bench_minutes: float = 0.0,
    report: bool = False,
    of_cells: dict[str, float] | None = None,
) -> float:
    """Seconds that the missing runs take, so many jobs at once, at their greatest number of epochs, and what follows.

    A group is taken to be as slow as its runs one after another, which is the most. Others leave them a `share` of the
    cores that they want. A sweep measures for `bench_minutes` where there is something to compare, and then writes its
    report. What a run of each cell takes is added to `of_cells`.
    """
    if not plan.missing:
        return 0.0
    by_cell = _seconds_of_cells(plan, share)
    jobs = [len(group.plans) * by_cell[group.first.cell_id] for group in groups(plan)]
    if of_cells is not None:
        of_cells |= by_cell
    measured = 60 * bench_minutes if len(plan.cells) > 1 else 0.0
    return (START_SECONDS + REPORT_SECONDS * report) / share + max(max(jobs), sum(jobs) / at_once) + measured


def share_of_cores(plan: SweepPlan, at_once: int) -> float:
    """What others leave of the cores that so many runs want at once: 1 where they get them all, and on a GPU.

    Tried out by as many processes, which are in sessions of their own as workers are: some systems share cores out to
    sessions first.
    """
    first = next((job.plan for job in plan.missing if job.plan), None)
    if first is None or first.place.kind != "cpu":
        return 1.0
    command = [sys.executable, "-I", "-S", "-c", _SPIN]
    looks = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        for _ in range(at_once * first.place.threads)
    ]
    shares = [float(look.communicate()[0] or 1) for look in looks]
    return min(1.0, sum(shares) / len(shares))


def learned(probes: Sequence[Rate], runs: Sequence[Rate]) -> Sequence[Rate]:
    """The rates to go by: those of `probes`, brought to the level of `runs` that have ended, and of these themselves.

    Runs count for nothing where the median of them took WAITED times as long as the probes let expect: they waited for
    others.
    """
    if not runs:
        return probes
    level = median(run.seconds / expected(probes, run.macs, run.acts) for run in runs)
    if level > WAITED:
        return probes
    return [*(replace(probe, seconds=level * probe.seconds) for probe in probes), *runs]


def expected(rates: Sequence[Rate], macs: int, acts: int) -> float:
    """Seconds an image, taken to go with MACs and activations; as is, where `rates` has a network with just these."""
    same = [rate.seconds for rate in rates if (rate.macs, rate.acts) == (macs, acts)]
    if same:
        return min(same)
    import numpy as np

    costs = np.array([(rate.macs, rate.acts) for rate in rates], dtype=float)
    scale = costs.max(axis=0)
    seconds = np.array([rate.seconds for rate in rates])
    weights = _shares(costs / scale / seconds[:, None])  # relative errors count
    return float(np.dot(np.array([macs, acts]) / scale, weights))


def _shares(costs: np.ndarray) -> np.ndarray:
    """The weights (2,) from 0 that bring `costs` (rates, 2) nearest to 1, by least squares.

    scipy.optimize.nnls, for two weights, without the second that importing scipy takes: where not both can be
    positive, one is 0.
    """
    import numpy as np

    ones = np.ones(len(costs))
    both = np.linalg.lstsq(costs, ones, rcond=None)[0]
    if both.min() >= 0:
        return both
    alone = np.diag(costs.sum(axis=0) / (costs**2).sum(axis=0))
    return min(alone, key=lambda weights: float(((costs @ weights - ones) ** 2).sum()))


def ended(records: Iterable[Record], like: Record) -> list[Rate]:
    """The rate of each network of which `records` has a run on the device, threads, precision and batch of `like`.

    That is the rate of its fastest run: whatever disturbs one makes it slower. Seconds of a group are no run's own.
    """
    rates: dict[str, Rate] = {}
    for record in records:
        alone = record.status in FINAL and (record.fused or 1) == 1
        images = record.result.images_per_second if record.result and alone else None
        if images and _conditions(record) == _conditions(like) and {"macs", "acts"} <= record.costs.keys():
            rate = Rate(int(record.costs["macs"]), int(record.costs["acts"]), 1 / images)
            cell = record.cell_id or record.run_id
            rates[cell] = min(rate, rates.get(cell, rate), key=lambda rate: rate.seconds)
    return list(rates.values())


def _conditions(record: Record) -> tuple[object, ...]:
    return record.device, record.threads, record.precision, record.settings.get("train.batch_size")


def _seconds_of_cells(plan: SweepPlan, share: float) -> dict[str, float]:
    """Seconds that a missing run of each cell takes with a `share` of its cores."""
    from dsbench.results.records import records

    plans = {job.plan.cell_id: job.plan for job in plan.missing if job.plan}
    first = next(iter(plans.values()))
    outputs = Path(first.config.outputs).absolute()
    rates = learned(_probed(list(plans.values()), share), ended(records(outputs), first.facts()))
    return {
        cell_id: RUN_SECONDS / share
        + _run_seconds(each, expected(rates, each.cost.macs, each.cost.acts) / share, _epochs(plan.cells[cell_id]))
        for cell_id, each in plans.items()
    }


def _epochs(jobs: Sequence[PlannedJob]) -> float:
    """The mean epochs of the runs of a cell that are done, which may have stopped early; inf where there are none."""
    results = [job.record.result for job in jobs if job.done and job.record and job.record.result]
    return fmean([result.epochs or math.inf for result in results] or [math.inf])


def _probed(plans: Sequence[Plan], share: float) -> list[Rate]:
    """The rates of some of the networks, a few training steps of each on a machine that leaves a `share` of cores."""
    import numpy as np

    ordered = sorted(
        {(plan.cost.macs, plan.cost.acts): plan for plan in plans}.values(), key=lambda plan: plan.cost.macs
    )
    first = ordered[0]
    seconds = [_seconds_an_image(first, share)]
    most = first.cost.macs * LARGEST_SECONDS / (_STEPS * first.config.train.batch_size * seconds[0])
    small = ordered[: max(1, bisect_right(ordered, most, key=lambda plan: plan.cost.macs))]  # timed in a moment
    chosen = [small[round(i)] for i in np.linspace(0, len(small) - 1, min(PROBES, len(small)))]
    seconds += [_seconds_an_image(plan, share) for plan in chosen[1:]]
    return [Rate(plan.cost.macs, plan.cost.acts, each) for plan, each in zip(chosen, seconds, strict=True)]


def _seconds_an_image(plan: Plan, share: float) -> float:
    """Of a training step, timed for a moment and kept (see dsbench.measure.store) apart from what decides a budget.

    Threads that wait for one another seem to compute: where others leave only a `share` of the cores, one thread is
    timed, and n are taken to be faster by sqrt(n). What is timed then is not kept.
    """
    from dsbench.measure.store import Store, conditions

    config, compute, batch = plan.config, plan.place.compute(), plan.config.train.batch_size
    if share < _ALONE:
        compute = replace(compute, threads=1)
        timing = _step_timing(plan, compute)
    else:
        store = Store(Path(config.outputs).absolute() / "latency" / "probes")
        under = conditions(plan.network, {"undisturbed step": _passes(plan)}, batch, compute)
        timing = store.timing(under, PROBE_SECONDS, lambda: _step_timing(plan, compute))
    return timing.median_ms / 1000 / batch / math.sqrt(plan.place.threads / compute.threads)


def _passes(plan: Plan) -> int:
    """Over the weights, that stand for the optimizer in a probe."""
    return 1 + kept_numbers(plan.config.optimizer)


def _step_timing(plan: Plan, compute: Compute) -> Timing:
    """Of a training step; on one thread of a CPU without what that waits for a core."""
    import torch

    from dsbench.measure.subject import StepRecipe, Training, random_batch
    from dsbench.measure.timing import Timing
    from dsbench.training.device import set_up_process

    set_up_process()
    torch.set_num_threads(compute.threads)
    training = Training(
        plan.network, compute, StepRecipe.of(plan.config.optimizer, plan.config.train), passes=_passes(plan)
    )
    batch = random_batch(plan.network, compute.device, plan.config.train.batch_size)
    clock = time.thread_time if compute.threads == 1 else time.perf_counter
    if compute.device.type != "cpu":
        from torch.utils.benchmark import timer as clock  # which waits for the device
    seconds: list[float] = []
    end = time.perf_counter() + PROBE_SECONDS
    while len(seconds) < _STEPS or time.perf_counter() < end:
        start = clock()
        training.step(*batch)
        seconds.append(clock() - start)
    return Timing.of(seconds[_WARM_UP:])


def _run_seconds(plan: Plan, per_image: float, epochs: float) -> float:
    """Of one run of so many epochs at the most, its evaluations included, whose images cost a share of training's."""
    config, dataset = plan.config, dataset_of(plan.config.data)
    held_out, test = dataset.held_out(config.data.split), sum(dataset.test_counts)
    epoch = (dataset.train_size - held_out) * per_image
    end = plan.end
    train = end.steps / end.epoch_steps * epoch if isinstance(end, AfterSteps) else end.target
    train = min(train, epochs * epoch)
    return train + _EVALUATION * per_image * (math.ceil(train / epoch) * (held_out or test) + test)
